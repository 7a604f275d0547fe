// What a dream is, in the address: whoever opens it dreams the same dream.

const PLAYERS = ["you", "controller", "dreamer", "ppo", "random"];
const number = (text, low, high, otherwise) => {
  const value = text === null || text === "" ? NaN : Number(text);
  return value >= low && value <= high ? value : otherwise;
};

export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
}

/** The beginning that an address asks for; what it does not say or says wrong is as usual. */
export function readLink(start, player) {
  const asked = new URLSearchParams(location.hash.slice(1));
  const plays = asked.get("plays") ?? "";
  const begin = asked.get("start") ?? "";
  const who = asked.get("player");
  return {
    start: /^[a-z0-9:@-]{1,32}$/.test(begin) ? begin : start,
    seed: Math.trunc(number(asked.get("seed"), 0, 2 ** 31 - 1, randomSeed())),
    temperature: number(asked.get("temperature"), 0, 3, 1),
    player: PLAYERS.includes(who) ? who : player,
    plays: /^(\d{1,2}x\d{1,4}(\.\d{1,2}x\d{1,4})*)?$/.test(plays) && plays.length <= 3000 ? plays : "",
  };
}

/** Put a beginning into the address. */
export function writeLink({ start, seed, temperature, player, plays }) {
  const says = new URLSearchParams({ start, seed, temperature, player });
  if (plays) says.set("plays", plays);
  history.replaceState(null, "", `#${says.toString().replaceAll("%3A", ":").replaceAll("%40", "@")}`);
}
