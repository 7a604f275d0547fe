// Sliders for the numbers of the dream's latent.

const AT_FIRST = 24;

/** Sliders in `panel`, those that matter most first. `onTurn(index, value)` is told what a hand has turned. */
export class Latents {
  #sliders = [];
  #held = null;

  constructor(panel, more, order, spread, onTurn) {
    const make = (index) => {
      const label = document.createElement("label");
      const slider = document.createElement("input");
      const reach = Math.max(3, Math.ceil(3.5 * spread[index]));
      Object.assign(slider, { type: "range", min: -reach, max: reach, step: 0.05 });
      slider.setAttribute("aria-label", `latent ${index}`);
      slider.dataset.latent = index;
      slider.oninput = () => onTurn(index, Number(slider.value));
      slider.onpointerdown = () => (this.#held = index);
      slider.onpointerup = slider.onpointercancel = () => {
        this.#held = null;
        slider.blur();
      };
      label.append(String(index), slider);
      panel.append(label);
      this.#sliders.push([index, slider]);
    };
    panel.replaceChildren();
    order.slice(0, AT_FIRST).forEach(make);
    more.hidden = order.length <= AT_FIRST;
    more.onclick = () => {
      order.slice(AT_FIRST).forEach(make);
      more.hidden = true;
      if (this.#last) this.show(this.#last);
    };
  }

  #last = null;

  /** Move the sliders to where the dream is, but not the one in hand. */
  show(values) {
    this.#last = values;
    for (const [index, slider] of this.#sliders) if (index !== this.#held) slider.value = values[index];
  }
}
