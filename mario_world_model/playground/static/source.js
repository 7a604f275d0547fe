// Where the pictures come from: a session on the server, by WebSocket.

import { unpack } from "./format.js";

export const hasGame = true;

const REASONS = {
  4003: ["Every seat is taken", "Each player gets a console and a dreamer of their own, and this machine has no more to give. Try again when somebody has left."],
  4004: ["Nobody has played for a while", "The console was switched off to spare the machine."],
  4005: ["The session has ended", "Its process is gone. What was kept is kept."],
  1012: ["The server has ended", "Start it again with mario-world-model play; the new address has a new token."],
};

/**
 * Open a session. `onMessage(header, parts)` gets what it says, `onGone(title, text)` its end.
 * `send(message)` may be called at once; what is said too early is said first.
 */
export function openSource(onMessage, onGone) {
  const address = new URL("play", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.search = location.search;
  address.hash = "";
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  const early = [];
  socket.onopen = () => early.splice(0).forEach((text) => socket.send(text));
  socket.onmessage = (event) => {
    const { header, parts } = unpack(event.data);
    onMessage(header, parts);
  };
  socket.onclose = (event) => {
    const [title, text] = REASONS[event.code] ?? ["The connection is gone", event.reason || "The server does not answer."];
    onGone(title, text);
  };
  return {
    send(message) {
      const text = JSON.stringify(message);
      if (socket.readyState === WebSocket.CONNECTING) early.push(text);
      else if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
  };
}
