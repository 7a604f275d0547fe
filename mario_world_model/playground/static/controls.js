// Keyboard, touch pad and gamepad, all as the joypad byte of the console.

const A = 1, B = 2, UP = 16, DOWN = 32, LEFT = 64, RIGHT = 128;

const KEYS = {
  ArrowRight: RIGHT, ArrowLeft: LEFT, ArrowUp: UP, ArrowDown: DOWN,
  KeyX: A, KeyK: A, Space: A, KeyZ: B, KeyJ: B, ShiftLeft: B, ShiftRight: B,
  // On a German keyboard Z and Y have changed places.
  KeyY: B,
};
const GAMEPAD = { 0: A, 1: B, 2: B, 3: A, 12: UP, 13: DOWN, 14: LEFT, 15: RIGHT };
const AXIS = 0.5;

const typing = (target) => target.matches?.("input, select, textarea") && target.type !== "range" && target.type !== "checkbox";

/** Tell `onButtons(byte)` whenever what is held changes, and `commands[code]()` of every other key. */
export function listen(onButtons, commands, pad) {
  const held = { keys: 0, pad: 0, gamepad: 0 };
  let before = 0;
  const tell = () => {
    const now = held.keys | held.pad | held.gamepad;
    if (now !== before) onButtons((before = now));
  };

  addEventListener("keydown", (event) => {
    if (typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.code in KEYS) {
      // A focused button is not pressed by Mario's jump, and the page does not scroll.
      event.preventDefault();
      document.activeElement?.blur?.();
      held.keys |= KEYS[event.code];
      tell();
    } else if (event.code in commands && !event.repeat) {
      event.preventDefault();
      commands[event.code]();
    }
  });
  addEventListener("keyup", (event) => {
    if (event.code in KEYS) {
      held.keys &= ~KEYS[event.code];
      tell();
    }
  });
  const letGo = () => {
    held.keys = held.pad = 0;
    tell();
  };
  addEventListener("blur", letGo);
  document.addEventListener("visibilitychange", () => document.hidden && letGo());

  listenToPad(pad, (buttons) => {
    held.pad = buttons;
    tell();
  });
  listenToGamepads((buttons) => {
    held.gamepad = buttons;
    tell();
  });
}

function listenToPad(pad, onButtons) {
  const fingers = new Map();
  const cross = pad.querySelector(".cross");
  const tell = () => onButtons([...fingers.values()].reduce((all, bits) => all | bits, 0));

  const direction = (event) => {
    const box = cross.getBoundingClientRect();
    const x = event.clientX - (box.left + box.width / 2);
    const y = event.clientY - (box.top + box.height / 2);
    if (Math.hypot(x, y) < box.width * 0.1) return 0;
    if (Math.abs(x) >= Math.abs(y)) return x > 0 ? RIGHT : LEFT;
    return y > 0 ? DOWN : UP;
  };
  const press = (event, bits, element) => {
    fingers.set(event.pointerId, bits);
    if (element === cross) bits ? (cross.dataset.buttons = bits) : delete cross.dataset.buttons;
    else element.classList.add("held");
    tell();
  };
  const release = (event, element) => {
    fingers.delete(event.pointerId);
    if (element === cross) delete cross.dataset.buttons;
    else element.classList.remove("held");
    tell();
  };
  for (const element of [cross, ...pad.querySelectorAll("button")]) {
    const bits = (event) => (element === cross ? direction(event) : Number(element.dataset.buttons));
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element.setPointerCapture?.(event.pointerId);
      press(event, bits(event), element);
    });
    element.addEventListener("pointermove", (event) => fingers.has(event.pointerId) && press(event, bits(event), element));
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, (event) => release(event, element));
    element.addEventListener("contextmenu", (event) => event.preventDefault());
  }
}

function listenToGamepads(onButtons) {
  let watching = false;
  const look = () => {
    const pads = navigator.getGamepads().filter(Boolean);
    let buttons = 0;
    for (const pad of pads) {
      pad.buttons.forEach((button, index) => button.pressed && (buttons |= GAMEPAD[index] ?? 0));
      if (pad.axes[0] > AXIS) buttons |= RIGHT;
      if (pad.axes[0] < -AXIS) buttons |= LEFT;
    }
    onButtons(buttons);
    watching = pads.length > 0;
    if (watching) requestAnimationFrame(look);
  };
  addEventListener("gamepadconnected", () => watching || look());
}
