// The page: one level of the tree as boxes and as rows. Nodes are [name, bytes, stored bytes, children].
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const map = document.getElementById("map");
const path = [data.tree];
const LEAST_PIXELS = 5;

function words(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (Math.round(bytes) >= 1000 && at < units.length - 1) { bytes /= 1000; at += 1; }
  return `${bytes < 9.95 && at > 1 ? bytes.toFixed(1) : Math.round(bytes)} ${units[at]}`;
}
function element(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (parent) parent.append(made);
  return made;
}
function hue(name) {
  let state = 7;
  for (const letter of name.replace(/[ \d.].*$/, "")) state = (state * 31 + letter.charCodeAt(0)) % 360;
  return state;
}
function open(node) { if (node[3].length) { path.push(node); draw(true); } }
function out(depth) { if (depth > 0 && depth < path.length) { path.length = depth; draw(true); } }

// Boxes of one level; large ones show the level below too. `above`: nodes between here and these.
function place(nodes, [left, top, width, height], above) {
  squarify(nodes.map((node) => node[1]), left, top, width, height).forEach(([x, y, w, h], index) => {
    const node = nodes[index];
    if (w < LEAST_PIXELS || h < LEAST_PIXELS) return;
    const label = node[3].length ? node[0] : node[0].split("/").pop(); // of a file, its name
    const button = element("button", "", map);
    button.title = `${node[0]}: ${words(node[1])} unpacked, ${words(node[2])} as stored`;
    button.setAttribute("aria-label", button.title);
    Object.assign(button.style, { left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px`,
      background: `hsl(${hue(label)} 45% var(--cell))` });
    const isNested = !above.length && node[3].length && w > 150 && h > 110;
    if (w > 46 && h > 20) element("span", isNested ? `${label}  ${words(node[1])}` : label, button);
    if (!isNested && w > 46 && h > 40) element("small", words(node[1]), button);
    button.onclick = () => { path.push(...above); open(node); if (!node[3].length) draw(true); };
    if (isNested) place(node[3], [x + 3, y + 22, w - 6, h - 25], [node]);
  });
}
function draw(focus) {
  const here = path[path.length - 1];
  const children = here[3].length ? here[3] : [here];
  map.replaceChildren();
  place(children, [0, 0, map.clientWidth, map.clientHeight], []);
  if (focus && map.firstChild) map.firstChild.focus();
  trail();
  rows(children);
}
function trail() {
  const nav = document.getElementById("trail");
  nav.replaceChildren();
  path.forEach((node, index) => {
    if (index) nav.append(" › ");
    element("button", index ? node[0] : "all", nav).onclick = () => out(index + 1);
  });
}
function rows(children) {
  const table = document.getElementById("rows");
  table.replaceChildren();
  const head = element("tr", "", element("thead", "", table));
  ["", "unpacked", "as stored"].forEach((word) => element("th", word, head));
  const body = element("tbody", "", table);
  children.slice(0, 20).forEach((child) => {
    const row = element("tr", "", body);
    [child[0], words(child[1]), words(child[2])].forEach((word) => element("td", word, row));
  });
}
function move(key) {
  const now = document.activeElement.getBoundingClientRect();
  const away = (box) => ({ ArrowLeft: now.left - box.right, ArrowRight: box.left - now.right,
    ArrowUp: now.top - box.bottom, ArrowDown: box.top - now.bottom })[key];
  const aside = (box) => Math.abs(key === "ArrowLeft" || key === "ArrowRight" ? box.top - now.top : box.left - now.left);
  const found = [...map.children].filter((other) => away(other.getBoundingClientRect()) > -2)
    .sort((a, b) => away(a.getBoundingClientRect()) * 4 + aside(a.getBoundingClientRect())
      - away(b.getBoundingClientRect()) * 4 - aside(b.getBoundingClientRect()))[0];
  if (found) found.focus();
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" || event.key === "Backspace") { out(path.length - 1); event.preventDefault(); }
  if (event.key.startsWith("Arrow") && map.contains(document.activeElement)) { move(event.key); event.preventDefault(); }
});
document.getElementById("sizes").textContent = data.summary;
// Savings that are chosen, the first three at first, and the image's size before and after.
const SUGGESTED = 3;
data.savings.forEach(([title, advice], index) => {
  const item = element("li", "", document.getElementById("savings"));
  const label = element("label", "", item);
  const box = element("input", "", label);
  Object.assign(box, { type: "checkbox", checked: index < SUGGESTED, onchange: after });
  label.append(` ${title}`);
  element("small", advice, item);
});
if (!data.savings.length) element("li", "nothing was found", document.getElementById("savings"));
function after() {
  const boxes = [...document.querySelectorAll("#savings input")];
  const chosen = data.savings.filter((_, index) => boxes[index].checked);
  const [, size, stored] = data.tree;
  const left = size - chosen.reduce((sum, saving) => sum + saving[2], 0);
  const leftStored = stored - chosen.reduce((sum, saving) => sum + saving[3], 0);
  const place = document.getElementById("after");
  place.replaceChildren();
  [["before", size, stored], ["after", left, leftStored]].forEach(([word, bytes, packed]) => {
    const row = element("p", `${word}  ${words(bytes)} unpacked, ${words(packed)} as stored`, place);
    element("i", "", row).style.width = `${size ? (100 * bytes) / size : 0}%`;
  });
}
if (data.savings.length) after();
let drawn = "";
new ResizeObserver(() => {
  const size = `${map.clientWidth} ${map.clientHeight}`;
  if (size !== drawn) { drawn = size; draw(false); }
}).observe(map);
