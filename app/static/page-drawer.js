/* The drawer: conversations with search, rename, export and delete, and the switch of the theme. */
(() => {
  "use strict";
  const parts = (window.attuneParts = window.attuneParts || {});

  parts.makeDrawer = ({ page, send, state, leaveFor }) => {
    const { make, button, setText, show, dayOf, recall, remember, useTheme, draw } = parts.tools;
    const drawer = page.querySelector("#drawer");
    const menu = page.querySelector("#menu");
    const backdrop = page.querySelector(".backdrop");
    const search = page.querySelector("#search");
    const wide = window.matchMedia("(min-width: 80rem)");
    const items = new Map();
    let searching = 0;

    /* ---- open and closed: on a narrow screen it covers the page, which is then out of reach */

    function setOpen(open) {
      drawer.hidden = !open;
      backdrop.hidden = !open;
      menu.setAttribute("aria-expanded", String(open));
      setReach();
      if (open) page.querySelector("#drawer-close").focus();
      else menu.focus();
    }

    const setReach = () => {
      const covered = !drawer.hidden && !wide.matches;
      for (const part of page.querySelectorAll(":scope > .top, :scope > .scroll, :scope > .dock")) part.inert = covered;
    };

    const closeIfCovering = () => { if (!drawer.hidden && !wide.matches) setOpen(false); };

    /* ---- the list */

    function makeItem(talk) {
      const panel = make("div", { class: "item-more", hidden: true });
      const more = button("", { class: "quiet more", "aria-expanded": "false", onclick: () => togglePanel(talk.id) });
      const dots = draw("svg", { viewBox: "0 0 20 20", width: "20", height: "20", "aria-hidden": "true" });
      dots.append(draw("path", { d: "M5 10h.01M10 10h.01M15 10h.01", "stroke-width": "2.5" }));
      more.append(dots);
      const open = button("", { class: "open", "data-conversation": talk.id, onclick: () => openTalk(talk.id) });
      open.append(make("span"), make("small"));
      const node = make("li", { class: "item" }, make("div", { class: "item-line" }, open, more), panel);
      return { node, open, more, panel, talk };
    }

    function drawItems(value) {
      const list = page.querySelector("#conversations");
      const talks = value.conversations || [];
      const here = new Set(talks.map((talk) => talk.id));
      for (const [id, item] of items) if (!here.has(id)) { item.node.remove(); items.delete(id); }
      let at = list.firstElementChild;
      for (const talk of talks) {
        if (!items.has(talk.id)) items.set(talk.id, makeItem(talk));
        const item = items.get(talk.id);
        item.talk = talk;
        setText(item.open.firstChild, talk.title || "Untitled");
        setText(item.open.lastChild, dayOf(talk.when));
        item.more.setAttribute("aria-label", "More for " + (talk.title || "Untitled"));
        if (value.conversation && value.conversation.id === talk.id) item.open.setAttribute("aria-current", "true");
        else item.open.removeAttribute("aria-current");
        if (item.node === at) at = at.nextElementSibling;
        else list.insertBefore(item.node, at);
      }
      show(page.querySelector("#no-conversations"), talks.length === 0);
    }

    function openTalk(id) {
      leaveFor(false);
      send("open", { conversation: id });
      closeIfCovering();
    }

    function togglePanel(id) {
      for (const [other, item] of items) {
        const open = other === id && item.panel.hidden;
        item.panel.hidden = !open;
        item.more.setAttribute("aria-expanded", String(open));
        if (open) fillPanel(item);
      }
    }

    function fillPanel({ panel, talk }) {
      const link = (kind, text) => make("a", { href: "/export/" + encodeURIComponent(talk.id) + "." + kind, download: true, text });
      panel.replaceChildren(button("Rename", { "data-act": "rename", onclick: () => askName(talk.id) }),
        button("Delete", { class: "danger", "data-act": "delete", onclick: () => askDelete(talk.id) }), link("md", "Export as text"), link("json", "Export as JSON"));
    }

    function askName(id) {
      const item = items.get(id);
      const field = make("input", { type: "text", "aria-label": "New name", maxlength: "120" });
      field.value = item.talk.title || "";
      const form = make("form", {}, field, make("button", { type: "submit", class: "outlined", text: "Save" }));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (field.value.trim()) send("rename", { conversation: id, title: field.value.trim() });
        fillPanel(item);
        item.more.focus();
      });
      item.panel.replaceChildren(form);
      field.focus();
      field.select();
    }

    function askDelete(id) {
      const item = items.get(id);
      const yes = button("Yes, delete", { class: "danger filled", "data-act": "delete-yes", onclick: () => {
        parts.tools.remember("draft." + id, null);
        parts.tools.remember("sent." + id, null);
        send("remove", { conversation: id });
        search.focus();
      } });
      item.panel.replaceChildren(make("p", { text: "Delete this conversation? It can't be undone." }), yes,
        button("Keep it", { onclick: () => { fillPanel(item); item.more.focus(); } }));
      yes.focus();
    }

    /* Escape first leaves a question, then the drawer. */
    function escape() {
      if (drawer.hidden) return false;
      for (const item of items.values()) {
        if (!item.panel.hidden && item.panel.contains(document.activeElement)) { togglePanel(item.talk.id); item.more.focus(); return true; }
      }
      if (search.value && document.activeElement === search) { search.value = ""; askSearch(); return true; }
      if (wide.matches && !drawer.contains(document.activeElement)) return false;
      setOpen(false);
      return true;
    }

    /* ---- search */

    function askSearch() {
      clearTimeout(searching);
      const query = search.value.trim();
      if (!query) drawFound(state() || {});
      searching = setTimeout(() => send("search", { query }), query ? 300 : 0);
    }

    function drawFound(value) {
      const found = search.value.trim() ? value.found : null;
      const list = page.querySelector("#found");
      const count = page.querySelector("#found-count");
      show(list, !!found);
      show(count, !!found);
      show(page.querySelector("#conversations"), !found);
      if (!found) return;
      setText(count, found.length === 0 ? "Nothing found." : found.length === 1 ? "1 place found" : found.length + " places found");
      const seen = JSON.stringify(found);
      if (list.dataset.seen === seen) return;
      list.dataset.seen = seen;
      list.replaceChildren(...found.map((hit) => {
        const open = button("", { class: "open", "data-conversation": hit.conversation, onclick: () => openTalk(hit.conversation) });
        open.append(make("span", { text: hit.title || "Untitled" }), make("small", { text: hit.text }));
        return make("li", { class: "item" }, make("div", { class: "item-line" }, open));
      }));
    }

    function begin(temporary) {
      leaveFor(temporary);
      send("fresh", { temporary });
      closeIfCovering();
      page.querySelector("#composer").focus();
    }

    /* ---- theme */

    const theme = recall("theme") || "system";
    for (const radio of page.querySelectorAll("#theme input")) {
      radio.checked = radio.value === theme;
      radio.addEventListener("change", () => {
        remember("theme", radio.value === "system" ? null : radio.value);
        useTheme(radio.value);
      });
    }

    menu.addEventListener("click", () => setOpen(drawer.hidden));
    page.addEventListener("click", (event) => { if (event.target.closest("[data-close-drawer]")) setOpen(false); });
    page.querySelector("#new").addEventListener("click", () => begin(false));
    page.querySelector("#new-temporary").addEventListener("click", () => begin(true));
    search.addEventListener("input", askSearch);
    wide.addEventListener("change", setReach);
    return { drawDrawer: (value) => { drawItems(value); drawFound(value); }, escape };
  };
})();
