// The last ten seconds as a strip of pictures, to go back in.

import { colour, sharp } from "./curves.js";

/** Pictures by step, and the slider over them. `onScrub(step)` is told where somebody wants to be. */
export class Strip {
  #canvas;
  #slider;
  #pictures = new Map();
  #steps;

  constructor(canvas, slider, steps, onScrub) {
    this.#canvas = canvas;
    this.#slider = slider;
    this.#steps = steps;
    slider.oninput = () => onScrub(Number(slider.value));
    // The arrow keys are Mario's again once the hand is off.
    slider.onpointerup = () => slider.blur();
  }

  clear() {
    this.#pictures.clear();
  }

  /** Keep the picture of a step, ImageData 64×64; what came after it is another story now. */
  async add(step, image, newest) {
    for (const kept of this.#pictures.keys()) if (kept > newest || kept < newest - this.#steps) this.#pictures.delete(kept);
    this.#pictures.set(step, await createImageBitmap(image));
  }

  draw(step, oldest, newest) {
    this.#slider.min = oldest;
    this.#slider.max = Math.max(newest, oldest + 1);
    if (document.activeElement !== this.#slider || Number(this.#slider.value) !== step) this.#slider.value = step;
    const { context, width, height } = sharp(this.#canvas);
    const across = Math.max(1, newest - oldest);
    const wide = (height * 15) / 14;
    context.imageSmoothingEnabled = false;
    for (let left = 0; left < width; left += wide) {
      const picture = this.#near(oldest + (Math.min(left + wide / 2, width) / width) * across);
      if (picture) context.drawImage(picture, left, 0, wide, height);
    }
    const x = ((step - oldest) / across) * width;
    context.fillStyle = "rgb(0 0 0 / 35%)";
    if (step < newest) context.fillRect(x, 0, width - x, height);
    context.fillStyle = colour("apart");
    context.fillRect(Math.min(Math.max(0, x - 1.5), width - 3), 0, 3, height);
  }

  #near(step) {
    for (let away = 0; away < 4; away++) {
      const picture = this.#pictures.get(Math.round(step) - away) ?? this.#pictures.get(Math.round(step) + away);
      if (picture) return picture;
    }
    return undefined;
  }
}
