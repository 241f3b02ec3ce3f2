"use strict";
(() => {
  document.documentElement.classList.add("scripted");
  const list = document.getElementById("list");
  const form = document.querySelector(".filters");
  const find = document.getElementById("find");
  const order = document.getElementById("order");
  const count = document.getElementById("count");
  const empty = document.querySelector(".empty");
  const cases = [...list.children].map((node) => ({
    node,
    facets: JSON.parse(node.dataset.facets),
    numbers: JSON.parse(node.dataset.numbers),
    text: node.querySelector(".who").textContent.toLowerCase(),
    more: null,
  }));

  // Finding and filtering. Reasons and details are searched too, but read only when they are needed.
  const holds = (entry, words, wanted) =>
    wanted.every(([name, value]) => (entry.facets[name] || []).includes(value)) &&
    words.every((word) => {
      if (entry.text.includes(word)) return true;
      entry.more ??= (JSON.stringify(entry.facets) + " " + entry.node.querySelector(".reason").textContent).toLowerCase();
      return entry.more.includes(word);
    });
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = [...form.querySelectorAll("[data-facet]")].filter((s) => s.value).map((s) => [s.dataset.facet, s.value]);
    let shown = 0;
    for (const entry of cases) {
      const fits = holds(entry, words, wanted);
      entry.node.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === cases.length ? `${shown}` : `${shown} of ${cases.length}`;
    empty.hidden = shown > 0;
  };
  const key = (entry, name) => {
    const number = name.startsWith("s ") ? entry.numbers[name.slice(2)] : Number(entry.node.dataset[name]);
    return number === undefined ? null : number;
  };
  const sort = () => {
    const down = order.value.startsWith("-");
    const name = (down ? order.value.slice(1) : order.value) || "order";
    const sorted = [...cases].sort((a, b) => {
      const [x, y] = [key(a, name), key(b, name)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (down ? y - x : x - y) || key(a, "order") - key(b, "order");
    });
    list.append(...sorted.map((entry) => entry.node));
  };
  form.addEventListener("input", filter);
  order.addEventListener("change", sort);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { filter(); sort(); }));

  // Images: each is stored once, and becomes a picture when its case is opened.
  const source = (name) => "data:image/webp;base64," + document.getElementById("i-" + name).textContent;
  const make = (tag, properties, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };
  const MODES = [["side", "side by side"], ["slider", "slider"], ["onion", "onion skin"], ["difference", "difference"]];
  let groups = 0;
  const compare = (box) => {
    const items = [...box.querySelectorAll("li[data-l]")];
    if (!items.length || box.classList.contains("ready")) return;
    box.classList.add("ready");
    const group = "mode" + groups++;
    const [left, right] = [make("img", { alt: box.dataset.left }), make("img", { alt: box.dataset.right })];
    const stage = make("div", { className: "stage" },
      make("figure", {}, left, make("figcaption", { textContent: box.dataset.left })),
      make("figure", {}, right, make("figcaption", { textContent: box.dataset.right })));
    const range = make("input", { type: "range", min: 0, max: 100, value: 50 });
    const label = make("span", {});
    const control = make("label", { className: "control" }, label, range);
    const move = () => {
      stage.style.setProperty("--at", range.value + "%");
      stage.style.setProperty("--share", range.value / 100);
      stage.style.setProperty("--gain", 1 + range.value / 10);
      const said = { slider: `${box.dataset.left} to the left of the line, ${box.dataset.right} to the right`,
        onion: `${range.value} % ${box.dataset.right}`, difference: `made ${(1 + range.value / 10).toFixed(1)} times brighter` };
      label.textContent = said[stage.dataset.mode] || "";
    };
    const choose = (mode) => { stage.dataset.mode = mode; control.hidden = mode === "side"; move(); };
    const modes = make("fieldset", { className: "modes" }, ...MODES.map(([mode, text]) => {
      const radio = make("input", { type: "radio", name: group, value: mode, checked: mode === "side" });
      radio.addEventListener("change", () => choose(mode));
      return make("label", {}, radio, text);
    }));
    modes.setAttribute("aria-label", "how the images are compared");
    range.addEventListener("input", move);
    const show = (item) => {
      items.forEach((other) => other.classList.toggle("on", other === item));
      left.src = source(item.dataset.l);
      right.src = source(item.dataset.r);
      stage.classList.toggle("small", Number(item.dataset.w) <= 160);
    };
    for (const item of items) {
      const button = make("button", { type: "button" }, make("img", { alt: "", loading: "lazy", src: source(item.dataset.r) }), make("span", {}, ...item.childNodes));
      item.append(button);
      button.addEventListener("click", () => show(item));
    }
    box.prepend(make("div", { className: "viewer" }, modes, stage, control));
    choose("side");
    show(items[0]);
  };
  list.addEventListener("toggle", (event) => {
    if (event.target.open) event.target.querySelectorAll(".pairs").forEach(compare);
  }, true);

  // Links to a case open it, also where a filter hides it.
  const follow = () => {
    const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!node || !node.classList.contains("case")) return;
    if (node.hidden) { form.reset(); filter(); }
    node.open = true;
    node.scrollIntoView({ block: "start" });
    node.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) follow();
  });
  follow();

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "/") { event.preventDefault(); find.focus(); return; }
    if (!"jko".includes(event.key)) return;
    const shown = cases.map((entry) => entry.node).filter((node) => !node.hidden)
      .sort((a, b) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
    const at = shown.indexOf(document.activeElement.closest(".case"));
    if (event.key === "o") { if (at >= 0) shown[at].open = !shown[at].open; return; }
    const next = shown[Math.min(shown.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))];
    if (next) { next.querySelector("summary").focus(); next.scrollIntoView({ block: "nearest" }); }
  });
})();
