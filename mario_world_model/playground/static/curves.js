// Lines of the last steps, drawn when there is something new.

/** Colour of the page by its name in the style sheet. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** A canvas as sharp as the screen it is on; its context, with a unit of one CSS pixel. */
export function sharp(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/**
 * Draw lines over the steps `first` … `first + steps`.
 *
 * lines: [{ name of the colour, points: [[step, value or null], …] }]; least and most: the range that is always shown.
 */
export function drawCurve(canvas, lines, first, steps, least, most, marks = []) {
  const { context, width, height } = sharp(canvas);
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value)).filter((value) => value !== null);
  const low = Math.min(least, ...values);
  const high = Math.max(most, ...values);
  const x = (step) => ((step - first) / steps) * width;
  const y = (value) => height - 3 - ((value - low) / (high - low)) * (height - 6);
  context.strokeStyle = colour("line");
  context.lineWidth = 1;
  for (const value of new Set([low, Math.max(low, 0), high])) {
    context.beginPath();
    context.moveTo(0, Math.round(y(value)) + 0.5);
    context.lineTo(width, Math.round(y(value)) + 0.5);
    context.stroke();
  }
  context.fillStyle = colour("soft");
  for (const step of marks) context.fillRect(Math.round(x(step)), 0, 1, height);
  for (const { name, points } of lines) {
    context.strokeStyle = colour(name);
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.beginPath();
    let pen = false;
    for (const [step, value] of points) {
      if (value === null) pen = false;
      else if (pen) context.lineTo(x(step), y(value));
      else {
        context.moveTo(x(step), y(value));
        pen = true;
      }
    }
    context.stroke();
  }
}
