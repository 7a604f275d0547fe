async ([steps, length]) => {
  // Dreams of `length` steps from situation 0 with the noise and actions of inputs.bin; compare every picture with pictures.bin.
  const { World } = await import("./world.js");
  const load = (name) => fetch(name).then((answer) => answer.arrayBuffer());
  const world = await World.load();
  const inputs = new Float32Array(await load("inputs.bin"));
  const pictures = new Uint8Array(await load("pictures.bin"));
  const gumbels = world.mixtures * world.choices;
  const row = inputs.length / steps;
  let state;
  let largest = 0;
  let differing = 0;
  for (let step = 0; step < steps; step++) {
    if (step % length === 0) state = world.situation(0);
    const given = inputs.slice(step * row, (step + 1) * row);
    ({ state } = await world.imagine(state, given[0], given.slice(1, 1 + gumbels), given.slice(1 + gumbels)));
    const picture = await world.paint(state.latents);
    for (let at = 0; at < picture.length; at++) {
      const difference = Math.abs(picture[at] - pictures[step * picture.length + at]);
      largest = Math.max(largest, difference);
      differing += difference > 0;
    }
  }
  return { largest, share: differing / pictures.length };
}
