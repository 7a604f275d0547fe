// The dream in a thread of its own, so that the page stays at hand.

import { DreamSession } from "./dream_session.js";
import { World } from "./world.js";

const loading = World.load().then(
  (world) => new DreamSession(world, (header, parts) => postMessage({ header, parts })),
  (error) => {
    postMessage({ header: { type: "refused", text: error.message }, parts: {} });
    throw error;
  },
);
onmessage = ({ data }) => loading.then((session) => session.hear(data), () => {});
