// A waterfall to fold, to zoom, and to ask for a span's attributes and evidence.
(() => {
  "use strict";
  const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
  const DOING = ["on CPU", "runnable", "waiting", "not known"];
  // A branch under this share of the request is folded at first.
  const SMALL = 0.02;
  // A value of more letters stands under its name.
  const LONG = 36;
  // A drag over fewer pixels is a click.
  const DRAG = 4;
  // The narrowest stretch of time that is shown, in nanoseconds.
  const NARROWEST = 100;

  // As the pictures have it: three digits.
  const human = (nanos) => {
    const [scale, unit] = UNITS.find(([scale]) => nanos >= scale * 0.9995) ?? UNITS[3];
    const value = nanos / scale;
    const digits = unit === "ns" || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    return `${value.toFixed(digits)} ${unit}`;
  };

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  class Waterfall {
    constructor(host, data) {
      this.data = data;
      this.spans = data.spans;
      this.view = [0, Math.max(data.length, 1)];
      this.children = this.spans.map(() => []);
      this.spans.forEach((span, at) => { if (span.parent !== undefined) this.children[span.parent].push(at); });
      this.chosen = this.spans[host.dataset.span] ? Number(host.dataset.span) : 0;
      this.folded = new Set();
      this.depths = [];
      this.foldSmall();
      this.build(host);
      this.layOut();
      this.choose(this.chosen, false);
    }

    // Folds what is short; never what leads to the chosen span or to a failure.
    foldSmall() {
      const wanted = new Set([this.chosen]);
      this.spans.forEach((span, at) => { if (span.failed) wanted.add(at); });
      for (const at of [...wanted]) {
        for (let up = at; up !== undefined; up = this.spans[up].parent) wanted.add(up);
      }
      const least = this.data.request * SMALL;
      this.children.forEach((below, at) => {
        const worth = (child) => wanted.has(child) || this.spans[child].length >= least;
        if (below.length && at > 0 && !below.some(worth)) this.folded.add(at);
      });
    }

    build(host) {
      const frame = make("div", "wf");
      frame.append(this.tools(), this.tree(), this.panel = make("aside", "wf-panel"));
      this.panel.setAttribute("aria-live", "polite");
      this.panel.setAttribute("aria-label", "The chosen span");
      this.panel.tabIndex = 0;
      host.classList.add("live");
      host.prepend(frame);
    }

    tools() {
      const bar = make("div", "wf-tools");
      const button = (text, label, act) => {
        const one = make("button", "", text);
        one.type = "button";
        one.title = label;
        one.setAttribute("aria-label", label);
        one.addEventListener("click", act);
        bar.append(one);
      };
      button("+", "Zoom in", () => this.zoom(0.5));
      button("−", "Zoom out", () => this.zoom(2));
      button("Whole", "Show the whole request", () => this.show(0, this.data.length));
      button("Span", "Zoom to the chosen span", () => this.showChosen());
      button("Unfold all", "Unfold all", () => this.foldAll(false));
      button("Fold all", "Fold all", () => this.foldAll(true));
      const hint = make("span", "hint");
      const keys = [["↑ ↓", "span"], ["← →", "fold"], ["+ −", "zoom"], ["z", "span"], ["0", "whole"], ["drag, Ctrl wheel", "zoom"]];
      for (const [key, what] of keys) hint.append(make("kbd", "", key), make("span", "", what));
      bar.append(hint);
      return bar;
    }

    tree() {
      const tree = make("div", "wf-tree");
      const ruler = make("div", "wf-row wf-ruler");
      this.ruler = make("div", "wf-plot");
      ruler.append(make("div", "wf-name"), this.ruler, make("div", "wf-length"));
      const rows = make("div", "wf-rows");
      rows.setAttribute("role", "tree");
      rows.setAttribute("aria-label", this.data.endpoint);
      this.rows = this.spans.map((span, at) => this.row(span, at));
      rows.append(...this.rows.map((row) => row.element));
      tree.append(ruler, rows);
      if (this.data.left_out) tree.append(make("p", "note", `${this.data.left_out} further spans are not drawn.`));
      rows.addEventListener("click", (event) => this.clicked(event));
      rows.addEventListener("keydown", (event) => this.pressed(event));
      tree.addEventListener("pointerdown", (event) => this.dragged(event));
      tree.addEventListener("dblclick", (event) => {
        if (event.target.closest(".wf-plot")) this.show(0, this.data.length);
      });
      tree.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
      return tree;
    }

    row(span, at) {
      const element = make("div", span.failed ? "wf-row failed" : "wf-row");
      const depth = span.parent === undefined ? 0 : this.depths[span.parent] + 1;
      this.depths.push(depth);
      element.dataset.at = at;
      element.setAttribute("role", "treeitem");
      element.setAttribute("aria-level", depth + 1);
      element.setAttribute("aria-label", `${span.name}, ${human(span.length)}`);
      element.tabIndex = -1;
      const name = make("div", "wf-name");
      name.style.paddingLeft = `${4 + Math.min(depth, 16) * 9}px`;
      name.title = span.name;
      const twist = make("span", "twist");
      name.append(twist, make("i", `swatch t${span.tier % 6}`), make("span", "text", span.name));
      const plot = make("div", "wf-plot");
      // Whatever is too short to be seen, or to be pointed at.
      plot.title = `${span.name}: ${human(span.length)} from ${human(span.start)}`;
      element.append(name, plot, make("div", "wf-length", human(span.length)));
      return { element, plot, twist };
    }

    // Where each row's bar is now; what is folded away is not drawn.
    layOut() {
      this.spans.forEach((span, at) => {
        const { element, twist } = this.rows[at];
        element.hidden = this.isAway(at);
        const open = !this.folded.has(at);
        if (this.children[at].length) element.setAttribute("aria-expanded", String(open));
        twist.textContent = !this.children[at].length ? "" : open ? "▾" : "▸";
      });
      this.draw();
    }

    isAway(at) {
      for (let up = this.spans[at].parent; up !== undefined; up = this.spans[up].parent) {
        if (this.folded.has(up)) return true;
      }
      return false;
    }

    draw() {
      const ticks = this.ticks();
      const label = ([x, text]) => {
        const one = make("span", "label", text);
        one.style.left = `${x}%`;
        return one;
      };
      this.ruler.replaceChildren(...ticks.map(([x]) => this.tick(x)), ...ticks.map(label));
      this.rows.forEach(({ element, plot }, at) => {
        if (!element.hidden) plot.replaceChildren(...ticks.map(([x]) => this.tick(x)), ...this.bars(this.spans[at]));
      });
    }

    tick(x) {
      const line = make("i", "tick");
      line.style.left = `${x}%`;
      return line;
    }

    ticks() {
      const [from, to] = this.view;
      const least = (to - from) / 6;
      const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
      const step = [1, 2, 5, 10].map((n) => n * power).find((one) => one >= least);
      const [scale, unit] = UNITS.find(([one]) => to >= one * 2) ?? UNITS[3];
      const digits = Math.max(0, Math.ceil(-Math.log10(step / scale) - 1e-9));
      const ticks = [];
      for (let at = Math.ceil(from / step) * step; at <= to - step * 0.3; at += step) {
        ticks.push([(100 * (at - from)) / (to - from), `${(at / scale).toFixed(digits)} ${unit}`]);
      }
      return ticks;
    }

    // The part of a stretch that is in view, as an element; none where it is out of view.
    stretch(className, start, length, title) {
      const [from, to] = this.view;
      if (start + length < from || start > to) return [];
      const percent = (at) => (100 * (Math.min(Math.max(at, from), to) - from)) / (to - from);
      const [left, right] = [percent(start), percent(start + length)];
      const element = make("i", className);
      element.style.left = `${left}%`;
      element.style.width = `${right - left}%`;
      if (title) element.title = title;
      return [element];
    }

    bars(span) {
      const tier = `t${span.tier % 6}`;
      const look = ["strong", "soft"].includes(span.look) ? `${span.look} ${tier}` : span.look;
      const failed = span.failed ? " failed-bar" : "";
      const bars = this.stretch(`bar-span ${look}${failed}`, span.start, span.length);
      for (const [start, length] of span.gaps ?? []) {
        bars.push(...this.stretch("gap", start, length, `unaccounted ${human(length)}`));
      }
      const least = (this.view[1] - this.view[0]) / 2000;
      for (const [start, length, doing, what] of span.slices ?? []) {
        const words = `${DOING[doing]} ${human(length)}${this.data.texts[what]}`;
        if (length >= least) bars.push(...this.stretch(`slice d${doing}`, start, length, words));
      }
      for (const [at, what] of span.events ?? []) {
        for (const moment of this.stretch("moment", at, 0, what)) {
          moment.style.width = "";
          bars.push(moment);
        }
      }
      return bars;
    }

    show(from, to) {
      const whole = Math.max(this.data.length, 1);
      const length = Math.min(Math.max(to - from, Math.min(NARROWEST, whole)), whole);
      const start = Math.min(Math.max(from, 0), whole - length);
      this.view = [start, start + length];
      this.draw();
    }

    // Zooms about a point in time: the one pointed at, else the chosen span's middle where it is in view.
    zoom(factor, about) {
      const [from, to] = this.view;
      const span = this.spans[this.chosen];
      const middle = span.start + span.length / 2;
      const at = about ?? (middle >= from && middle <= to ? middle : (from + to) / 2);
      this.show(at - (at - from) * factor, at + (to - at) * factor);
    }

    pan(share) {
      const [from, to] = this.view;
      const by = (to - from) * share;
      this.show(from + by, to + by);
    }

    showChosen() {
      const { start, length } = this.spans[this.chosen];
      const room = Math.max(length * 0.1, NARROWEST);
      this.show(start - room, start + length + room);
    }

    timeAt(event) {
      const box = this.ruler.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      return this.view[0] + share * (this.view[1] - this.view[0]);
    }

    wheeled(event) {
      if (!event.target.closest(".wf-plot")) return;
      const zooms = event.ctrlKey || event.metaKey || event.target.closest(".wf-ruler");
      if (zooms) this.zoom(Math.exp(Math.sign(event.deltaY) * 0.25), this.timeAt(event));
      else if (event.shiftKey) this.pan(Math.sign(event.deltaY || event.deltaX) * 0.1);
      else return;
      event.preventDefault();
    }

    // A drag over the bars zooms to what it spans.
    dragged(down) {
      this.hasDragged = false;
      const plot = down.target.closest(".wf-plot");
      if (!plot || down.button !== 0) return;
      const [from, range] = [this.timeAt(down), make("i", "range")];
      const move = (event) => {
        const [a, b] = [from, this.timeAt(event)].sort((a, b) => a - b);
        range.replaceWith(...this.stretch("range", a, b - a).map((fresh) => {
          range.style.left = fresh.style.left;
          range.style.width = fresh.style.width;
          return range;
        }));
      };
      const up = (event) => {
        removeEventListener("pointermove", move);
        removeEventListener("pointerup", up);
        range.remove();
        if (Math.abs(event.clientX - down.clientX) < DRAG) return;
        this.hasDragged = true;
        this.show(...[from, this.timeAt(event)].sort((a, b) => a - b));
      };
      plot.append(range);
      addEventListener("pointermove", move);
      addEventListener("pointerup", up);
      down.preventDefault();
    }

    clicked(event) {
      const row = event.target.closest(".wf-row");
      if (!row || this.hasDragged) return;
      const at = Number(row.dataset.at);
      if (event.target.closest(".twist")) this.fold(at, !this.folded.has(at));
      this.choose(at, true);
    }

    fold(at, away) {
      if (!this.children[at].length) return;
      if (away) this.folded.add(at); else this.folded.delete(at);
      this.layOut();
    }

    foldAll(away) {
      this.folded.clear();
      if (away) this.children.forEach((below, at) => { if (below.length) this.folded.add(at); });
      if (this.isAway(this.chosen)) this.choose(0, false);
      this.layOut();
    }

    choose(at, focus) {
      this.rows[this.chosen].element.tabIndex = -1;
      this.rows[this.chosen].element.setAttribute("aria-selected", "false");
      this.chosen = at;
      const row = this.rows[at].element;
      row.tabIndex = 0;
      row.setAttribute("aria-selected", "true");
      if (focus) row.focus({ preventScroll: false });
      this.tell(this.spans[at]);
    }

    pressed(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const at = this.chosen;
      const seen = this.spans.map((_, one) => one).filter((one) => !this.rows[one].element.hidden);
      const place = seen.indexOf(at);
      const go = (to) => { if (to !== undefined) this.choose(to, true); };
      const keys = {
        ArrowDown: () => go(seen[place + 1]),
        ArrowUp: () => go(seen[place - 1]),
        Home: () => go(seen[0]),
        End: () => go(seen.at(-1)),
        ArrowRight: () => {
          if (event.shiftKey) this.pan(0.2);
          else if (this.folded.has(at)) this.fold(at, false);
          else go(this.children[at][0]);
        },
        ArrowLeft: () => {
          if (event.shiftKey) this.pan(-0.2);
          else if (this.children[at].length && !this.folded.has(at)) this.fold(at, true);
          else go(this.spans[at].parent);
        },
        Enter: () => this.fold(at, !this.folded.has(at)),
        " ": () => this.fold(at, !this.folded.has(at)),
        "*": () => this.foldAll(false),
        "+": () => this.zoom(0.5),
        "=": () => this.zoom(0.5),
        "-": () => this.zoom(2),
        0: () => this.show(0, this.data.length),
        z: () => this.showChosen(),
      };
      if (!Object.hasOwn(keys, event.key)) return;
      event.preventDefault();
      keys[event.key]();
    }

    // Fills the panel with what is known of a span.
    tell(span) {
      const share = (100 * span.length) / Math.max(this.data.request, 1);
      const parts = [
        make("h4", "", span.name),
        make("p", "", `${human(span.length)} from ${human(span.start)}, ${share.toFixed(1)} % of the request`),
        make("p", "note", this.data.texts[span.process]),
      ];
      parts.push(this.evidence(span));
      const unaccounted = (span.gaps ?? []).reduce((sum, [, length]) => sum + length, 0);
      const notes = [...(span.notes ?? [])];
      if (unaccounted) notes.push(`unaccounted ${human(unaccounted)}`);
      for (const [at, what] of span.events ?? []) notes.push(`${what} after ${human(at - span.start)}`);
      if (notes.length) {
        const list = make("ul");
        list.append(...notes.map((note) => make("li", "", note)));
        parts.push(list);
      }
      const all = make("dl");
      for (const [key, value] of span.attributes ?? []) {
        const [name, text] = [this.data.texts[key], this.data.texts[value]];
        const long = text.length > LONG ? "long" : "";
        const term = make("dt", long);
        // It breaks between its words.
        for (const word of name.split(/(?<=[._])/)) term.append(word, make("wbr"));
        all.append(term, make("dd", long, text));
      }
      parts.push(all);
      this.panel.replaceChildren(...parts);
      this.panel.scrollTop = 0;
    }

    evidence(span) {
      const box = make("p", "fact");
      if (span.parent === undefined || !span.evidence) {
        box.append(span === this.spans[0] ? "The root: the whole request." : "Joined to nothing: an orphan.");
        return box;
      }
      const [kind, id] = span.evidence;
      box.append("Part of ", make("b", "", this.spans[span.parent].name), " by ", make("b", "", kind), " ", make("code", "", this.data.texts[id]));
      return box;
    }
  }

  const draw = (host) => {
    const source = document.getElementById(host.dataset.trace);
    if (!source || host.classList.contains("live")) return;
    const data = JSON.parse(source.textContent);
    if (data.spans.length) new Waterfall(host, data);
  };

  // Drawn when it is about to be seen: a page of a hundred opens as fast as one of three.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "800px" });
  for (const host of document.querySelectorAll(".waterfall")) near.observe(host);
})();
