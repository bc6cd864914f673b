/* Small tools of the seeker's page. Words of people only ever pass through textContent. */
(() => {
  "use strict";
  const parts = (window.attuneParts = window.attuneParts || {});

  /* The browser may forbid storage; the page must work without it. */
  const remember = (key, value, where = "localStorage") => {
    try {
      if (value === null || value === "") window[where].removeItem("attune." + key);
      else window[where].setItem("attune." + key, value);
    } catch { /* then it is not remembered */ }
  };
  const recall = (key, where = "localStorage") => {
    try { return window[where].getItem("attune." + key); } catch { return null; }
  };
  const forgetAll = () => {
    for (const where of ["localStorage", "sessionStorage"]) {
      try {
        for (const key of Object.keys(window[where])) if (/^attune\.(draft|sent|card|asks|temporary)/.test(key)) window[where].removeItem(key);
      } catch { /* nothing was stored */ }
    }
  };

  /* The theme is set as early as this file runs, so that a dark room stays dark. */
  const useTheme = (name) => {
    const root = document.documentElement;
    if (name === "light" || name === "dark") root.dataset.theme = name;
    else delete root.dataset.theme;
  };
  useTheme(recall("theme"));

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") node.textContent = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter(Boolean));
    return node;
  };
  const button = (text, attributes = {}) => make("button", { type: "button", text, ...attributes });
  const draw = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const show = (node, visible) => { if (node.hidden === visible) node.hidden = !visible; };

  /* randomUUID is missing where a LAN serves the page without https. */
  const newId = () => {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  };

  const formatted = (at, options) => {
    const date = new Date(at);
    return Number.isNaN(date.getTime()) ? "" : new Intl.DateTimeFormat(navigator.language || "en", options).format(date);
  };
  const timeOf = (at) => {
    const today = new Date().toDateString() === new Date(at).toDateString();
    return formatted(at, today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
  };
  const dayOf = (at) => formatted(at, { dateStyle: "medium" });

  /* tel: wants digits only; what is shown stays as people write it. */
  const telLink = (number, attributes = {}, ...children) =>
    make("a", { href: "tel:" + number.replace(/[^0-9+*#]/g, ""), ...attributes }, ...(children.length ? children : [number]));

  const guessCountry = (countries) => {
    for (const language of navigator.languages || [navigator.language || ""]) {
      const region = /[-_]([A-Za-z]{2})$/.exec(language);
      if (region && countries.some(([code]) => code === region[1].toUpperCase())) return region[1].toUpperCase();
    }
    return "";
  };
  const fillCountries = (select, countries, chosen) => {
    const key = countries.length + (countries[0] || [""])[0];
    if (select.dataset.filled !== key) {
      select.replaceChildren(make("option", { value: "", text: "Another country, or rather not say" }),
        ...countries.map(([code, name]) => make("option", { value: code, text: name })));
      select.dataset.filled = key;
      select.value = chosen;
    } else if (document.activeElement !== select && select.value !== chosen) select.value = chosen;
    if (select.value !== chosen && document.activeElement !== select) select.value = "";
  };

  parts.tools = { remember, recall, forgetAll, useTheme, make, button, draw, setText, show, newId, timeOf, dayOf, telLink, guessCountry, fillCountries };
})();
