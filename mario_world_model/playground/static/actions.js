// Actions in a row, written short: 4x7.2x11 is action 4 for 7 steps, then action 2 for 11.

const LONGEST = 3000;
const LONGEST_RUN = 9999;

export function packRuns(actions) {
  const runs = [];
  for (const action of actions) {
    const last = runs.at(-1);
    if (last && last[0] === action && last[1] < LONGEST_RUN) last[1]++;
    else runs.push([action, 1]);
  }
  const texts = runs.map(([action, steps]) => `${action}x${steps}`);
  while (texts.join(".").length > LONGEST) texts.pop();
  return texts.join(".");
}

export function unpackRuns(text) {
  return text
    .split(".")
    .filter(Boolean)
    .flatMap((run) => {
      const [action, steps] = run.split("x").map(Number);
      return Array(steps).fill(action);
    });
}
