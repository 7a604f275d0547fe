// Where the pictures come from: a dream in this browser.

import { Recorder } from "./recorder.js";

export const hasGame = false;

/** As in the page with a server. */
export function openSource(onMessage, onGone) {
  const worker = new Worker(new URL("dream_worker.js", import.meta.url), { type: "module" });
  let recorder = null;
  let begun = 0;
  let step = 0;
  worker.onerror = () => onGone("This dream cannot begin", "The browser could not load a part of it.");
  worker.onmessage = ({ data: { header, parts } }) => {
    step = header.step ?? step;
    onMessage(header.type === "frame" ? { ...header, recording: recorder !== null } : header, parts);
  };
  const record = () => {
    try {
      recorder = new Recorder(document.getElementById("dream"));
      recorder.start();
      begun = step;
    } catch (error) {
      recorder = null;
      onMessage({ type: "notice", text: error.message, bad: true }, {});
    }
  };
  const stop = async () => {
    const { name, content } = await recorder.stop();
    recorder = null;
    onMessage({ type: "file", name, steps: step - begun }, { file: [content] });
  };
  return {
    send(message) {
      if (message.type === "record") record();
      else if (message.type === "stop") recorder && stop();
      else worker.postMessage(message);
    },
  };
}
