// Slots of one step each; a key may bring the step of its slot forward, and a slot holds exactly one.

const SLACK = 0.125;

export class Clock {
  constructor(now, period) {
    this.period = period;
    this.opens = now;
    this.due = now + period;
  }

  hasten(now) {
    this.due = Math.min(this.due, Math.max(now, this.opens));
  }

  stepped(now) {
    this.opens += this.period;
    if (now > this.opens + this.period) this.opens = now;
    this.due = Math.min(this.opens + this.period, Math.max(this.opens, now + (1 + SLACK) * this.period));
  }
}
