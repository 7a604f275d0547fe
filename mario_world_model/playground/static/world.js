// The world model: V's decoder, M and C, run by ONNX Runtime in WebAssembly.

import * as ort from "./ort/ort.wasm.min.mjs";

// One thread needs no cross-origin isolation, which plain hosts do not offer.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;

const SIDE = 64;

export class World {
  #sessions;
  #situations;

  constructor(about, sessions, situations) {
    Object.assign(this, about);
    this.#sessions = sessions;
    this.#situations = situations;
  }

  static async load() {
    const file = (name) => fetch(new URL(name, import.meta.url)).then((answer) => {
      if (!answer.ok) throw new Error(`${name}: expected the file, found ${answer.status}`);
      return answer;
    });
    const session = async (name) =>
      ort.InferenceSession.create(new Uint8Array(await (await file(name)).arrayBuffer()), { executionProviders: ["wasm"] });
    const [about, situations] = await Promise.all([
      file("world.json").then((answer) => answer.json()),
      file("situations.bin").then((answer) => answer.arrayBuffer()),
    ]);
    // One after the other: the runtime starts up only once.
    const sessions = { paint: await session("painter.onnx"), imagine: await session("imagining.onnx"), act: await session("acting.onnx") };
    return new World(about, sessions, new Float32Array(situations));
  }

  /** The state {latents, hidden, cell} in which situation `number` begins. */
  situation(number) {
    const { latent_size: Z, hidden_size: H, cell_size: C } = this;
    const row = this.#situations.slice(number * (Z + H + C), (number + 1) * (Z + H + C));
    return { latents: row.slice(0, Z), hidden: row.slice(Z, Z + H), cell: row.slice(Z + H), end: null };
  }

  /** One step: noise scaled by the temperature, as onnx_models.Imagining takes it. */
  async imagine({ latents, hidden, cell }, action, gumbel, normal) {
    const row = (values) => new ort.Tensor("float32", values, [1, values.length]);
    const out = await this.#sessions.imagine.run({
      latents: row(latents),
      action: new ort.Tensor("int64", BigInt64Array.of(BigInt(action)), [1]),
      hidden: row(hidden),
      cell: row(cell),
      gumbel: new ort.Tensor("float32", gumbel, [1, this.mixtures, this.choices]),
      normal: row(normal),
    });
    return {
      state: { latents: out.next_latents.data, hidden: out.next_hidden.data, cell: out.next_cell.data, end: null },
      reward: out.reward.data[0],
      odds: out.odds.data,
    };
  }

  /** The picture of a latent, RGB bytes 64×64. */
  async paint(latents) {
    const { picture } = await this.#sessions.paint.run({ latents: new ort.Tensor("float32", latents, [1, latents.length]) });
    const planes = picture.data, size = SIDE * SIDE, rgb = new Uint8Array(3 * size);
    for (let pixel = 0; pixel < size; pixel++)
      for (let channel = 0; channel < 3; channel++) rgb[3 * pixel + channel] = toByte(planes[channel * size + pixel]);
    return rgb;
  }

  /** The controller's action. */
  async act({ latents, hidden }, gumbel) {
    const row = (values) => new ort.Tensor("float32", values, [1, values.length]);
    const { action } = await this.#sessions.act.run({
      latents: row(latents),
      hidden: row(hidden),
      gumbel: new ort.Tensor("float32", gumbel, [gumbel.length]),
    });
    return Number(action.data[0]);
  }
}

/** Rounded to even at a half, as everywhere else in the project. */
function toByte(value) {
  const whole = Math.floor(value);
  const rest = value - whole;
  return rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? whole + 1 : whole;
}
