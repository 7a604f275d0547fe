// The page: what comes from the source goes on the screen, what the person does goes to the source.

import { packRuns } from "./actions.js";
import { listen } from "./controls.js";
import { drawCurve } from "./curves.js";
import { floats } from "./format.js";
import { Latents } from "./latents.js";
import { randomSeed, readLink, writeLink } from "./link.js";
import { Screens, clear, drawDifference, drawPicture } from "./pictures.js";
import { hasGame, openSource } from "./source.js";
import { Strip } from "./strip.js";

const $ = (id) => document.getElementById(id);
const NAMES = { you: "You", controller: "Controller", dreamer: "Dreamer", ppo: "PPO", random: "Chance" };
const HINTS = {
  controller: "The evolved agent, looking at the game",
  dreamer: "The evolved agent asleep: it looks at the dream alone",
};
const HOME = hasGame ? "1-1" : "situation:0";
const ENDS = { death: "Mario died", flag: "The flag!" };
const DREAM_ENDS = { death: "The dream died", flag: "The dream sees the flag" };
const FIELDS = ["step", "action", "real", "dreamt", "death", "drift"];
const MOST_DELAYS = 120;
const SECONDS_TO_WATCH_THE_END = 2;

document.body.classList.toggle("dream-only", !hasGame);

let source;
let welcome = null;
let strip = null;
let latents = null;
let screens = null;
let now = null; // header of the last frame
let begun = readLink(HOME, hasGame ? "you" : "dreamer");
let points = [];
let asSeen = false;
let restart = 0;

// How long a key takes to become a picture: counts of key changes that wait for theirs.
let count = 0;
const waiting = new Map();
const delays = [];

function begin(changes = {}) {
  begun = { ...begun, plays: "", ...changes };
  clearTimeout(restart);
  restart = 0;
  source.send({ type: "begin", ...begun });
  writeLink(begun);
  $("seed").value = begun.seed;
  showStart();
}

function onMessage(header, parts) {
  if (header.type === "frame") showFrame(header, parts);
  else if (header.type === "welcome") showWelcome(header);
  else if (header.type === "notice") {
    notice(header.text, header.bad);
    // An address may ask for what there is not here.
    if (header.bad && !now) begin({ start: HOME, player: "you" });
  }
  else if (header.type === "file") download(header, parts.file[0]);
  else if (header.type === "refused") gone("This session cannot begin", header.text);
}

function showWelcome(header) {
  welcome = header;
  strip = new Strip($("strip"), $("scrub"), header.steps_back, (step) => source.send({ type: "scrub", step }));
  latents = new Latents($("sliders"), $("all-latents"), header.latent_order, header.latent_spread, (index, value) => {
    if (!now?.paused) source.send({ type: "pause", on: true });
    source.send({ type: "latent", index, value });
  });
  screens = new Screens($("game"));
  $("players").replaceChildren(
    ...header.players.map((name) => {
      const button = document.createElement("button");
      Object.assign(button, { textContent: NAMES[name], value: name, title: HINTS[name] ?? "" });
      button.onclick = () => choosePlayer(name);
      return button;
    }),
  );
  $("situation").max = header.situations - 1;
  const data = document.querySelector("option[value=data]");
  data.hidden = data.disabled = !header.episodes.length;
  $("episode").max = header.episodes.length - 1;
  $("episode").oninput = () => ($("frame").max = (header.episodes[$("episode").value] ?? 1) - 1);
  showStart();
}

function choosePlayer(name) {
  begun.player = name;
  writeLink(begun);
  source.send({ type: "player", who: name });
}

async function showFrame(header, parts) {
  const before = now;
  now = { ...header, real: Boolean(parts.reconstruction) };
  if (header.restarted) {
    points = [];
    strip.clear();
  }
  points = [...points, ...[...header.points, header.point].map((values) => Object.fromEntries(values.map((value, at) => [FIELDS[at], value])))];
  // What lies beyond the newest step was given up when somebody went back and on from there.
  const latest = new Map(points.map((point) => [point.step, point]));
  points = [...latest.values()].filter(({ step }) => step <= header.newest).sort((one, other) => one.step - other.step);

  const [dream, seen] = [parts.dream[0], parts.reconstruction?.[0]];
  const drawing = [];
  const image = drawPicture($("dream"), dream);
  if (seen) {
    drawDifference($("difference"), dream, seen);
    if (asSeen) {
      screens.stop();
      drawPicture($("game"), seen);
    } else drawing.push(screens.draw(parts.screen));
  } else if (before?.frame !== header.frame && hasGame) {
    screens.stop();
    clear($("game"));
    clear($("difference"));
  }
  strip.add(header.step, image, header.newest).then(() => strip.draw(header.step, header.oldest, header.newest));
  latents.show(floats(parts.latents[0]));
  showWords(header, Boolean(seen));
  showCurves(header);
  await Promise.all(drawing);
  requestAnimationFrame(() => {
    source.send({ type: "ack", frame: header.frame });
    time(header.count);
    document.body.dataset.frame = header.frame;
    document.body.dataset.step = header.step;
  });
}

function showWords(header, real) {
  const { paused, player, real_end, dream_end, point } = header;
  document.body.classList.toggle("waiting", header.waiting);
  $("pause").textContent = paused ? "Play" : "Pause";
  $("sync").disabled = $("keep").disabled = !real;
  for (const button of $("players").children) button.setAttribute("aria-pressed", button.value === player);
  for (const button of $("speeds").children) button.setAttribute("aria-pressed", Number(button.value) === header.speed);
  $("record").setAttribute("aria-pressed", header.recording);
  $("record").textContent = header.recording ? "Stop" : "Record";
  if (document.activeElement !== $("temperature")) $("temperature").value = header.temperature;
  $("temperature-now").textContent = header.temperature.toFixed(2);
  $("dream-about").textContent = header.temperature ? `temperature ${header.temperature.toFixed(2)}` : "likeliest path";
  if (document.activeElement !== $("seed")) $("seed").value = header.seed;
  const drift = point[FIELDS.indexOf("drift")];
  const [asked, here] = [coarse() ? "Touch the pad to play" : "Press a key to play", hasGame ? "game-end" : "dream-end"];
  const [again, sync] = coarse() ? ["tap Again", "tap Sync"] : ["R begins again", "C syncs it"];
  say("game-end", real_end && `${ENDS[real_end]} · ${again}`);
  say("dream-end", dream_end && `${DREAM_ENDS[dream_end]} · ${real && !real_end ? sync : again}`);
  if (header.waiting) say(here, asked);
  $("death-now").textContent = percent(point[FIELDS.indexOf("death")]);
  $("drift-now").textContent = drift === null ? "" : percent(drift);
  $("reward-now").textContent = point[FIELDS.indexOf("dreamt")].toFixed(1);
  // Where nobody has the keys, the show goes on by itself.
  const over = dream_end && (!real || real_end) && header.step === header.newest;
  if (dream_end && player !== "you" && (over || !paused) && !restart) {
    restart = setTimeout(goOn, 1000 * SECONDS_TO_WATCH_THE_END);
  }
  $("status").textContent = delays.length ? `key to picture ${median(delays.slice(-15))} ms` : `step ${header.step}`;
  Object.assign($("status").dataset, { delays: JSON.stringify(delays), took: header.took });
}

function goOn() {
  restart = 0;
  if (now.player === "you" || !now.dream_end) return;
  if (hasGame && now.real && !now.real_end) source.send({ type: "sync" });
  else begin({ seed: (now.seed + 1) % 2 ** 31 });
}

function showCurves(header) {
  const steps = welcome.steps_back;
  const first = Math.max(0, header.newest - steps);
  const line = (name, field) => ({ name, points: points.filter(({ step }) => step >= first).map((point) => [point.step, point[field]]) });
  const marks = header.step < header.newest ? [header.step] : [];
  drawCurve($("reward-curve"), [line("game", "real"), line("dream", "dreamt")], first, steps, -15, 15, marks);
  drawCurve($("death-curve"), [line("bad", "death")], first, steps, 0, 0.25, marks);
  if (hasGame) drawCurve($("drift-curve"), [line("apart", "drift")], first, steps, 0, 0.3, marks);
}

function time(answered) {
  for (const [number, pressed] of waiting) {
    if (number > answered) continue;
    waiting.delete(number);
    delays.push(Math.round(performance.now() - pressed));
    if (delays.length > MOST_DELAYS) delays.shift();
  }
}

function say(id, text) {
  $(id).hidden = !text;
  $(id).textContent = text || "";
}

let quiet = 0;
function notice(text, bad = false) {
  clearTimeout(quiet);
  $("notice").textContent = text;
  $("notice").className = bad ? "bad" : "";
  $("notice").hidden = false;
  quiet = setTimeout(() => ($("notice").hidden = true), bad ? 6000 : 3500);
}

function gone(title, text) {
  if ($("gone").open) return;
  $("gone").querySelector("h2").textContent = title;
  $("gone").querySelector("p").textContent = text;
  $("gone").showModal();
}

function download(header, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content]));
  link.download = header.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  notice(`Recorded ${header.steps} steps`);
}

function showStart() {
  const place = /^([1-8]-[1-4])(?:@(\d+))?$/.exec(begun.start);
  const [kind, one, two] = begun.start.split(":");
  $("start-kind").value = place ? (place[2] ? "place" : "stage") : kind;
  if (place && !place[2]) $("stage").value = place[1];
  if (place && place[2]) $("place").value = place[2];
  if (kind === "data") [$("episode").value, $("frame").value] = [one, two];
  if (kind === "situation") $("situation").value = one;
  showKind();
}

function showKind() {
  for (const part of document.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== $("start-kind").value;
  $("place").nextElementSibling.textContent = $("place").value;
}

function chosenStart() {
  const kinds = {
    stage: () => $("stage").value,
    place: () => `1-1@${$("place").value}`,
    data: () => `data:${Number($("episode").value)}:${Number($("frame").value)}`,
    situation: () => `situation:${Number($("situation").value)}`,
  };
  return kinds[$("start-kind").value]();
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];
const coarse = () => matchMedia("(pointer: coarse)").matches;

const commands = {
  KeyP: () => source.send({ type: "pause", on: !now?.paused }),
  Period: () => source.send({ type: "step" }),
  KeyC: () => hasGame && source.send({ type: "sync" }),
  KeyR: () => begin(),
};
$("pause").onclick = commands.KeyP;
$("step").onclick = commands.Period;
$("sync").onclick = commands.KeyC;
$("again").onclick = commands.KeyR;
$("begin").onclick = () => begin({ start: chosenStart() });
$("start-kind").onchange = showKind;
$("place").oninput = showKind;
$("temperature").oninput = () => {
  begun.temperature = Number($("temperature").value);
  writeLink(begun);
  source.send({ type: "temperature", value: begun.temperature });
};
$("temperature").onchange = () => $("temperature").blur();
$("seed").onchange = () => begin({ seed: Math.min(Math.max(0, Math.trunc(Number($("seed").value) || 0)), 2 ** 31 - 1) });
$("luck").onclick = () => source.send({ type: "luck", seed: randomSeed() });
$("smooth").onchange = () => source.send({ type: "smooth", on: $("smooth").checked });
$("record").onclick = () => source.send(now?.recording ? { type: "stop" } : { type: "record", format: $("record-format").value });
$("keep").onclick = () => source.send({ type: "keep" });
$("reconnect").onclick = () => location.reload();
$("share").onclick = async () => {
  writeLink({ ...begun, plays: packRuns(points.filter(({ step }) => step > 0).map(({ action }) => action)) });
  try {
    await navigator.clipboard.writeText(location.href);
    notice("The link is copied: it begins here and plays what was played");
  } catch {
    notice("The link is in the address bar");
  }
};
for (const [id, seen] of [["as-screen", false], ["as-seen", true]]) {
  $(id).onclick = () => {
    asSeen = seen;
    $("as-screen").setAttribute("aria-pressed", !seen);
    $("as-seen").setAttribute("aria-pressed", seen);
    if (now?.paused) source.send({ type: "scrub", step: now.step });
  };
}
$("difference-switch").onclick = () => {
  const on = document.body.classList.toggle("show-difference");
  $("difference-switch").setAttribute("aria-pressed", on);
};
for (const button of $("speeds").children) button.onclick = () => source.send({ type: "speed", value: Number(button.value) });
for (let world = 1; world <= 8; world++) for (let level = 1; level <= 4; level++) $("stage").add(new Option(`${world}-${level}`));

// Nobody is watching: neither Mario nor the machine need go on.
document.addEventListener("visibilitychange", () => {
  if (document.hidden && now && !now.paused) source.send({ type: "pause", on: true });
});

source = openSource(onMessage, gone);
source.send({ type: "begin", ...begun });
writeLink(begun);
showStart();
listen(
  (buttons) => {
    // Whoever presses a key wants to play.
    if (buttons && now && now.player !== "you") choosePlayer("you");
    source.send({ type: "keys", buttons, count: ++count });
    if (now?.player === "you" && (!now.paused || now.waiting)) waiting.set(count, performance.now());
  },
  commands,
  document.querySelector(".pad"),
);
