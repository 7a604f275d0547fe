// Chance that depends on a seed, a stream and a step alone, so that a dream can be dreamt again.

/** Uniform numbers in (0, 1) of (seed, stream, step): sfc32, seeded through a mixing hash. */
export function uniform(seed, stream, step) {
  const mix = (value) => {
    value = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
    value = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
    return (value ^ (value >>> 16)) >>> 0;
  };
  let a = mix(seed ^ 0x9e3779b9), b = mix(stream ^ 0x85ebca6b), c = mix(step ^ 0xc2b2ae35), d = 1;
  const next = () => {
    const sum = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum | 0;
    return ((sum >>> 0) + 0.5) / 2 ** 32;
  };
  for (let warm = 0; warm < 12; warm++) next();
  return next;
}

/** `count` standard normal numbers (Box & Muller 1958), times `scale`. */
export function normals(draw, count, scale = 1) {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = scale * Math.sqrt(-2 * Math.log(draw()));
    const angle = 2 * Math.PI * draw();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** `count` standard Gumbel numbers, times `scale`. */
export function gumbels(draw, count, scale = 1) {
  return Float32Array.from({ length: count }, () => -scale * Math.log(-Math.log(draw())));
}
