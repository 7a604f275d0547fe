// Records the dream as a film, in whichever format this browser writes.

const SCALE = 8;
const TYPES = ["video/mp4", "video/webm;codecs=vp9", "video/webm"];

export class Recorder {
  #canvas = document.createElement("canvas");
  #source;
  #recorder;

  constructor(source) {
    this.#source = source;
    this.#canvas.width = source.width * SCALE;
    this.#canvas.height = source.height * SCALE;
  }

  start() {
    const type = TYPES.find((name) => globalThis.MediaRecorder?.isTypeSupported(name));
    if (!type) throw new Error("This browser cannot record.");
    this.#draw();
    this.#recorder = new MediaRecorder(this.#canvas.captureStream(30), { mimeType: type, videoBitsPerSecond: 4e6 });
    this.#recorder.start();
  }

  /** Take in what the source shows now. */
  #draw() {
    const context = this.#canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#source, 0, 0, this.#canvas.width, this.#canvas.height);
    if (!this.#recorder || this.#recorder.state === "recording") requestAnimationFrame(() => this.#draw());
  }

  /** The film, once it is finished: {name, content}. */
  stop() {
    return new Promise((resolve) => {
      this.#recorder.ondataavailable = async ({ data }) => {
        const ending = data.type.startsWith("video/mp4") ? "mp4" : "webm";
        resolve({ name: `dream.${ending}`, content: new Uint8Array(await data.arrayBuffer()) });
      };
      this.#recorder.stop();
    });
  }
}
