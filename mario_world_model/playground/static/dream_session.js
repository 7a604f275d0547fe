// One visitor's dream, with the way back; it speaks as a session on the server does.

import { unpackRuns } from "./actions.js";
import { gumbels, normals, uniform } from "./chance.js";
import { Clock } from "./clock.js";

const NOISE = 0, CHOICE = 1;
const DEATH = 0, FLAG = 1;
const MOST_UNDERWAY = 2;
const WORTH = { 128: 16, 64: 16, 1: 8, 2: 4 };

/** The action of a set that presses most of what is held, and nothing that is not. */
export function nearestAction(set, buttons) {
  const worths = set.map((pressed) => {
    if (pressed & ~buttons) return -1;
    let worth = 0;
    for (let bit = 1; bit < 256; bit <<= 1) if (pressed & bit) worth += WORTH[bit] ?? 1;
    return worth;
  });
  return worths.indexOf(Math.max(...worths));
}

export class DreamSession {
  #world;
  #tell;
  #kept = [];
  #back = 0;
  #points = [];
  #plays = [];
  #clock = null;
  #timer = 0;
  #waiting = false;
  #buttons = 0;
  #tapped = 0;
  #asked = 0;
  #answered = 0;
  #sent = 0;
  #acknowledged = 0;
  #fresh = false;
  #restarted = false;
  #speed = 1;
  #seed = 0;
  #temperature = 1;
  #player = "you";
  #took = 0;
  // Everything happens in turn: a step is never in the middle of another.
  #turn = Promise.resolve();

  /** `tell(header, parts)` gets what the page is to be told. */
  constructor(world, tell) {
    this.#world = world;
    this.#tell = tell;
    tell({ type: "welcome", ...world.welcome }, {});
  }

  hear(message) {
    this.#turn = this.#turn.then(() => this.#answer(message)).catch((error) => this.#tell({ type: "notice", text: error.message, bad: true }, {}));
    return this.#turn;
  }

  async #answer(message) {
    const now = performance.now();
    switch (message.type) {
      case "begin": this.#begin(message); break;
      case "keys":
        this.#tapped |= message.buttons & ~this.#buttons;
        this.#buttons = message.buttons;
        this.#asked = message.count;
        if (this.#waiting && message.buttons) this.#start();
        if (this.#player === "you") this.#clock?.hasten(now);
        break;
      case "player":
        this.#player = message.who;
        this.#plays = [];
        if (this.#waiting) this.#start();
        this.#fresh = true;
        break;
      case "pause":
        if (message.on) this.#clock = null;
        else if (!this.#clock) this.#start();
        this.#fresh = true;
        break;
      case "step": this.#clock = null; this.#waiting = false; await this.#step(); break;
      case "speed": this.#speed = message.value; if (this.#clock) this.#start(); this.#fresh = true; break;
      case "temperature": this.#temperature = message.value; this.#fresh = true; break;
      case "luck": this.#seed = message.seed; this.#fresh = true; break;
      case "scrub": this.#goBack(message.step); break;
      case "latent": this.#turnLatent(message.index, message.value); break;
      case "tick": await this.#tick(); break;
      case "ack": this.#acknowledged = Math.max(this.#acknowledged, message.frame); break;
    }
    await this.#send();
    this.#plan();
  }

  #begin({ start, seed, temperature, player, plays }) {
    const asked = /^situation:(\d+)$/.exec(start);
    const count = this.#world.welcome.situations;
    if (!asked || Number(asked[1]) >= count) throw new Error(`start: expected situation:0 to situation:${count - 1}, found ${start}`);
    this.#plays = unpackRuns(plays);
    this.#seed = seed;
    this.#temperature = temperature;
    this.#player = this.#world.welcome.players.includes(player) ? player : "dreamer";
    this.#kept = [{ step: 0, state: this.#world.situation(Number(asked[1])), point: [0, 0, null, 0, 0, null] }];
    this.#back = this.#buttons = this.#tapped = 0;
    this.#points = [];
    this.#waiting = this.#player === "you" && !plays;
    if (this.#waiting) this.#clock = null;
    else this.#start();
    this.#fresh = this.#restarted = true;
  }

  get #now() {
    return this.#kept.at(-1 - this.#back);
  }

  async #choose(step) {
    if (step - 1 < this.#plays.length) return this.#plays[step - 1];
    const { buttons, welcome } = this.#world;
    if (this.#player === "you") return nearestAction(buttons, this.#buttons | this.#tapped);
    const draw = uniform(this.#seed, CHOICE, step);
    if (this.#player === "random") return Math.floor(draw() * welcome.actions.length);
    return this.#world.act(this.#now.state, gumbels(draw, welcome.actions.length));
  }

  async #step() {
    if (this.#now.state.end) {
      this.#clock = null;
      this.#fresh = true;
      return;
    }
    const begun = performance.now();
    this.#fork();
    const step = this.#now.step + 1;
    const action = await this.#choose(step);
    const { mixtures, choices, latent_size, reward_bounds: [low, high] } = this.#world;
    const draw = uniform(this.#seed, NOISE, step);
    const gumbel = gumbels(draw, mixtures * choices, this.#temperature);
    const normal = normals(draw, latent_size, Math.sqrt(this.#temperature));
    const { state, reward, odds } = await this.#world.imagine(this.#now.state, action, gumbel, normal);
    if (draw() >= 1 - Math.min(1, odds[DEATH] + odds[FLAG])) state.end = odds[DEATH] >= odds[FLAG] ? "death" : "flag";
    const point = [step, action, null, Math.min(Math.max(reward, low), high), odds[DEATH], null];
    this.#kept.push({ step, state, point });
    if (this.#kept.length > this.#world.welcome.steps_back + 1) this.#kept.shift();
    this.#points.push(point);
    this.#tapped = 0;
    this.#answered = this.#asked;
    this.#fresh = true;
    this.#took = performance.now() - begun;
  }

  #fork() {
    this.#kept.splice(this.#kept.length - this.#back);
    this.#back = 0;
  }

  #goBack(step) {
    this.#clock = null;
    const newest = this.#kept.at(-1).step;
    this.#back = newest - Math.min(Math.max(step, this.#kept[0].step), newest);
    this.#fresh = true;
  }

  #turnLatent(index, value) {
    this.#fork();
    const { step, state, point } = this.#kept.pop();
    const latents = state.latents.slice();
    latents[index] = value;
    this.#kept.push({ step, state: { ...state, latents, end: null }, point });
    this.#fresh = true;
  }

  #start() {
    this.#waiting = false;
    this.#clock = new Clock(performance.now(), 1000 / (this.#world.welcome.rate * this.#speed));
  }

  #plan() {
    clearTimeout(this.#timer);
    if (this.#clock) this.#timer = setTimeout(() => this.hear({ type: "tick" }), Math.max(0, this.#clock.due - performance.now()));
  }

  async #tick() {
    const clock = this.#clock;
    if (!clock || performance.now() < clock.due - 0.5) return;
    await this.#step();
    clock.stepped(performance.now());
  }

  async #send() {
    if (!this.#fresh || !this.#kept.length || this.#sent - this.#acknowledged >= MOST_UNDERWAY) return;
    this.#fresh = false;
    const { step, state, point } = this.#now;
    const header = {
      type: "frame", frame: ++this.#sent, restarted: this.#restarted, step,
      oldest: this.#kept[0].step, newest: this.#kept.at(-1).step,
      real_end: null, dream_end: state.end, point, points: this.#points,
      paused: !this.#clock, waiting: this.#waiting, player: this.#player, temperature: this.#temperature,
      speed: this.#speed, seed: this.#seed, count: this.#answered, recording: false, took: this.#took,
    };
    this.#points = [];
    this.#restarted = false;
    const dream = await this.#world.paint(state.latents);
    this.#tell(header, { dream: [dream], latents: [new Uint8Array(state.latents.slice().buffer)] });
  }
}
