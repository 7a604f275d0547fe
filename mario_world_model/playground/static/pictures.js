// Puts pictures on canvases, pixel by pixel.

const SIDE = 64;

/** RGB bytes of a 64×64 picture on a canvas. */
export function drawPicture(canvas, rgb) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    image.data[to] = rgb[from];
    image.data[to + 1] = rgb[from + 1];
    image.data[to + 2] = rgb[from + 2];
    image.data[to + 3] = 255;
  }
  if (canvas.width !== SIDE) canvas.width = canvas.height = SIDE;
  context.putImageData(image, 0, 0);
  return image;
}

/** Where two pictures differ, black where they agree. */
export function drawDifference(canvas, one, other) {
  const apart = new Uint8Array(one.length);
  for (let i = 0; i < one.length; i++) apart[i] = Math.abs(one[i] - other[i]);
  drawPicture(canvas, apart);
}

export function clear(canvas) {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

/** Screens of the console, PNG files, on a canvas: the first at once, the others a sixtieth of a second apart. */
export class Screens {
  #canvas;
  #turn = 0;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  async draw(files) {
    const turn = ++this.#turn;
    const pictures = await Promise.all(files.map((file) => createImageBitmap(new Blob([file], { type: "image/png" }))));
    pictures.forEach((picture, index) => {
      const show = () => {
        if (turn !== this.#turn) return;
        if (this.#canvas.width !== picture.width) [this.#canvas.width, this.#canvas.height] = [picture.width, picture.height];
        this.#canvas.getContext("2d").drawImage(picture, 0, 0);
      };
      if (index === 0) show();
      else setTimeout(show, (index * 1000) / 60);
    });
  }

  /** Leave the canvas to somebody else. */
  stop() {
    this.#turn++;
  }
}
