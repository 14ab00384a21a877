import { element, notice } from "./dom.js";
import { followLive, takeKey } from "./server.js";
import { endpoints } from "./endpoints.js";
import { endpoint } from "./endpoint.js";
import { playground } from "./playground.js";
import { plan } from "./plan.js";
import { benches } from "./benches.js";
import { fit } from "./fit.js";

const PAGES = [
  [/^#\/$/, endpoints],
  [/^#\/endpoint\/([^/]+)\/([^/]+)$/, endpoint],
  [/^#\/playground\/([^/]+)\/([^/]+)$/, playground],
  [/^#\/plan$/, plan],
  [/^#\/benches$/, benches],
  [/^#\/fit$/, fit],
];
const main = document.getElementById("main");
let leave = () => {};

function show() {
  leave();
  leave = () => {};
  main.replaceChildren();
  for (const link of document.querySelectorAll("nav a"))
    link.toggleAttribute("aria-current", false), link.hash === location.hash && link.setAttribute("aria-current", "page");
  for (const [pattern, page] of PAGES) {
    const found = pattern.exec(location.hash || "#/");
    if (found) {
      leave = page(main, ...found.slice(1).map(decodeURIComponent)) ?? (() => {});
      return;
    }
  }
  main.append(element("p", {}, "There is no such page."));
}

function begin() {
  if (!takeKey()) {
    main.replaceChildren(notice({ error: "this page has no key", hint: "open the link that `homeport console` printed" }));
    return;
  }
  show();
  followLive(document.getElementById("connection"));
}

addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  if (location.hash.startsWith("#key=")) takeKey();
  show();
  main.focus();
});
begin();
