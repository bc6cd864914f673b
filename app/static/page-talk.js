/* The conversation: messages by key, the row under the newest reply, the inline editor. */
(() => {
  "use strict";
  const parts = (window.attuneParts = window.attuneParts || {});

  const TAGS = {
    up: ["Felt heard", "Gentle", "Clear", "A useful thought", "Right length", "At the right time"],
    down: ["Missed the point", "Too long", "Too pushy", "Cold", "Repeated itself", "Felt wrong or unsafe"],
  };

  parts.makeTalk = ({ page, send, announce, state, say }) => {
    const { make, button, setText, show, newId, timeOf } = parts.tools;
    const list = page.querySelector("#messages");
    const scroll = page.querySelector("#scroll");
    const nodes = new Map();
    let pending = null;
    let announced = null;
    let talkedIn = null;
    let peek = null;
    const given = {};
    const row = makeRow();
    const edit = button("Edit", { id: "edit", class: "quiet", onclick: openEditor });
    let editor = null;

    /* ---- messages */

    function makeMessage(message) {
      const name = message.who === "you" ? "You" : "Attune";
      const time = make("time", { class: "when", datetime: message.at, text: message.at ? timeOf(message.at) : "" });
      const node = make("article", { class: "message " + (message.who === "you" ? "you" : "attune"), "data-id": message.id },
        make("h2", { class: "seen-not", text: name }), make("p", { class: "words", dir: "auto", text: message.text }), time);
      if (message.turn) node.dataset.turn = message.turn;
      return node;
    }

    /* Known nodes stay where they are, so focus and reading position survive every update. */
    function drawMessages(messages) {
      const here = new Set(messages.map((message) => message.id));
      for (const [id, node] of nodes) {
        if (here.has(id)) continue;
        if (node.contains(row)) row.remove();
        node.remove();
        nodes.delete(id);
      }
      let at = list.firstElementChild;
      for (const message of messages) {
        let node = nodes.get(message.id);
        if (pending && message.client === pending.client) {
          if (node) dropPending(); /* an edited message stays the same one */
          else node = adoptPending(message);
        }
        if (!node) node = makeMessage(message);
        nodes.set(message.id, node);
        if (message.turn) node.dataset.turn = message.turn;
        if (node === at) at = at.nextElementSibling;
        else list.insertBefore(node, at);
        if (!isPeeking(message)) setText(wordsOf(node), message.text);
      }
    }

    const wordsOf = (node) => node.querySelector(".words");

    function adoptPending(message) {
      const node = pending.node;
      for (const covered of pending.covered) covered.hidden = false;
      node.dataset.id = message.id;
      node.classList.remove("pending");
      node.querySelector(".when").textContent = timeOf(message.at);
      pending = null;
      return node;
    }

    /* An edited message covers the old one and what followed it until the server has answered. */
    function showPending(client, text, turn = null) {
      dropPending();
      const old = turn && [...nodes.values()].find((node) => node.dataset.turn === turn);
      const covered = old ? [...list.children].slice([...list.children].indexOf(old)) : [];
      for (const node of covered) node.hidden = true;
      const node = makeMessage({ id: client, who: "you", text, at: new Date().toISOString() });
      node.classList.add("pending");
      list.append(node);
      pending = { client, node, covered };
      scroll.scrollTop = scroll.scrollHeight;
    }

    function dropPending() {
      if (!pending) return;
      for (const node of pending.covered) node.hidden = false;
      pending.node.remove();
      pending = null;
    }

    const lastOf = (who) => (state().messages || []).findLast((message) => message.who === who) || null;

    /* A new reply is read out once; what was there when a conversation was opened is not. */
    function tellNewReply(value, first, wasLow) {
      const reply = lastOf("attune");
      const conversation = value.conversation ? value.conversation.id : null;
      const opened = first || (talkedIn !== null && talkedIn !== conversation);
      talkedIn = conversation;
      const key = reply ? reply.id : null;
      if (key !== announced && reply && !opened && key) {
        announce("Attune: " + reply.text);
        if (wasLow) bringIntoSight(nodes.get(reply.id));
      } else if (opened || wasLow) scroll.scrollTop = value.person ? scroll.scrollHeight : 0;
      announced = key;
    }

    /* When the card or a growing composer takes room, who was at the end stays at the end. */
    function staySettled() {
      let low = true;
      scroll.addEventListener("scroll", () => { low = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40; }, { passive: true });
      if (window.ResizeObserver) new ResizeObserver(() => { if (low && state().person) scroll.scrollTop = scroll.scrollHeight; }).observe(scroll);
    }

    /* A long reply is shown from its beginning, a short one with the row under it. */
    function bringIntoSight(node) {
      const start = node.offsetTop - 24;
      scroll.scrollTop = Math.min(scroll.scrollHeight - scroll.clientHeight, start);
    }

    /* Gives back what is left to do when the rest of the page has taken its room: scroll and announce. */
    function drawAll(value, first) {
      const wasLow = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 160;
      const count = list.childElementCount;
      drawMessages(value.messages || []);
      placeRow(value);
      placeEdit(value);
      return () => tellNewReply(value, first, wasLow && count !== list.childElementCount);
    }

    /* ---- the row under the newest reply */

    function makeRow() {
      const others = make("span", { class: "others", role: "group", "aria-label": "Other ways to say it" },
        button("\u2039", { id: "others-prev", "aria-label": "Previous way to say it", onclick: () => turnTo(-1) }),
        make("span", { id: "others-count" }),
        button("\u203a", { id: "others-next", "aria-label": "Another way to say it", onclick: () => turnTo(1) }));
      others.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        event.preventDefault();
        turnTo(event.key === "ArrowLeft" ? -1 : 1);
      });
      const tools = make("div", { class: "row" }, others,
        button("Keep this one", { id: "keep", onclick: keepThis }),
        button("Helpful", { id: "helpful", "aria-pressed": "false", onclick: () => rate("up") }),
        button("Not helpful", { id: "not-helpful", "aria-pressed": "false", onclick: () => rate("down") }),
        button("Why this reply", { id: "why", onclick: () => page.dispatchEvent(new CustomEvent("attune-why", { detail: turnOfRow() })) }),
        button("Another try", { id: "again", onclick: () => send("again", { turn: turnOfRow() }) }));
      return make("div", { class: "after" }, tools, make("div", { class: "feedback", hidden: true }));
    }

    const find = (selector) => row.querySelector(selector);
    const turnOfRow = () => row.dataset.turn || null;
    const othersOf = (value) => (value.others && value.others.turn === turnOfRow() && value.others.texts.length > 1 ? value.others : null);

    function placeRow(value) {
      const messages = value.messages || [];
      const last = messages[messages.length - 1];
      if (!last || last.who !== "attune" || !last.turn) { row.remove(); return; }
      const node = nodes.get(last.id);
      if (row.dataset.turn !== last.turn) {
        row.dataset.turn = last.turn;
        peek = null;
        find(".feedback").hidden = true;
      }
      if (row.parentNode !== node) node.append(row);
      const busy = isBusy(value);
      drawOthers(value);
      const rated = (value.rated || {})[last.turn] || null;
      drawRated((given[last.turn] || {}).rated || rated);
      show(find("#again"), !busy);
    }

    const isBusy = (value) => !!value.turn && ["reading", "weighing", "choosing"].includes(value.turn.state);
    const isPeeking = (message) => peek !== null && row.dataset.turn === message.turn && message.who === "attune";

    function drawOthers(value) {
      const others = othersOf(value);
      show(find(".others"), !!others);
      if (!others) { peek = null; show(find("#keep"), false); return; }
      if (peek === others.shown || peek >= others.texts.length) peek = null;
      const at = peek === null ? others.shown : peek;
      setText(find("#others-count"), at + 1 + " / " + others.texts.length);
      show(find("#keep"), peek !== null);
      const words = row.parentNode && wordsOf(row.parentNode);
      if (words && peek !== null) setText(words, others.texts[at]);
    }

    /* The other texts are here already: turning the page needs no server. */
    function turnTo(step) {
      const others = othersOf(state());
      if (!others) return;
      const count = others.texts.length;
      const at = ((peek === null ? others.shown : peek) + step + count) % count;
      const keepFocused = document.activeElement === find("#keep");
      peek = at === others.shown ? null : at;
      setText(wordsOf(row.parentNode), others.texts[at]);
      drawOthers(state());
      if (keepFocused && peek === null) find("#others-next").focus();
      announce(at + 1 + " of " + count + ": " + others.texts[at]);
    }

    function keepThis() {
      if (peek === null) return;
      send("choose", { turn: turnOfRow(), shown: peek });
      find("#others-next").focus();
      show(find("#keep"), false);
      announce("Kept.");
    }

    function listenForSwipes() {
      let from = null;
      list.addEventListener("touchstart", (event) => {
        const touch = event.touches[0];
        from = event.touches.length === 1 && row.parentNode && row.parentNode.contains(event.target) ? [touch.clientX, touch.clientY] : null;
      }, { passive: true });
      list.addEventListener("touchend", (event) => {
        if (!from) return;
        const [x, y] = [event.changedTouches[0].clientX - from[0], event.changedTouches[0].clientY - from[1]];
        if (Math.abs(x) > 60 && Math.abs(y) < 40) turnTo(x < 0 ? 1 : -1);
      }, { passive: true });
    }

    /* ---- feedback */

    function drawRated(value) {
      find("#helpful").setAttribute("aria-pressed", String(value === "up"));
      find("#not-helpful").setAttribute("aria-pressed", String(value === "down"));
    }

    function rate(value) {
      const turn = turnOfRow();
      given[turn] = { rated: value, tags: new Set() };
      send("rate", { turn, value });
      drawRated(value);
      drawFeedback(turn, value);
    }

    function drawFeedback(turn, value) {
      const box = find(".feedback");
      const tags = TAGS[value].map((word) => button(word, { "aria-pressed": "false", "data-tag": word, onclick: (event) => tag(turn, word, event.currentTarget) }));
      const field = make("textarea", { rows: "2", id: "comment", maxlength: "2000" });
      const thanks = make("p", { class: "small", text: value === "up" ? "Thank you. What was good about it, if you like to say?" : "Thank you for saying so. What was wrong with it, if you like to say?" });
      const sendComment = () => {
        const text = field.value.trim();
        if (!text) { field.focus(); return; }
        send("comment", { turn, text });
        closeFeedback("Thank you. Your comment was sent.");
      };
      box.replaceChildren(thanks, make("div", { class: "tags", role: "group", "aria-label": "Reasons" }, ...tags),
        make("label", { class: "field", for: "comment" }, make("span", { text: "In your words (optional)" }), field),
        make("div", { class: "choices" }, button("Send comment", { id: "send-comment", class: "outlined", onclick: sendComment }),
          button("Done", { id: "feedback-done", class: "quiet", onclick: () => closeFeedback("Thank you.") })));
      box.hidden = false;
      box.scrollIntoView({ block: "nearest" });
      announce(thanks.textContent);
    }

    function tag(turn, word, pressed) {
      if (given[turn].tags.has(word)) return;
      given[turn].tags.add(word);
      pressed.setAttribute("aria-pressed", "true");
      send("tag", { turn, value: word });
    }

    function closeFeedback(words) {
      const box = find(".feedback");
      if (box.hidden) return false;
      box.hidden = true;
      find((given[turnOfRow()] || {}).rated === "down" ? "#not-helpful" : "#helpful").focus();
      announce(words);
      return true;
    }

    /* ---- editing the last message in place */

    function placeEdit(value) {
      const mine = lastOf("you");
      const possible = mine && mine.turn && !isBusy(value) && !pending;
      const node = possible ? nodes.get(mine.id) : null;
      if (editor && (!mine || editor.turn !== mine.turn)) closeEditor(false);
      if (!node) edit.remove();
      else if (edit.parentNode !== node && !editor) node.append(edit);
    }

    function openEditor() {
      const mine = lastOf("you");
      const node = nodes.get(mine.id);
      const field = make("textarea", { "aria-label": "Edit your message", id: "edit-text", rows: "3", maxlength: "8000" });
      field.value = mine.text;
      const form = make("form", { class: "editor" }, field, make("div", { class: "choices" },
        button("Cancel", { class: "quiet", onclick: () => closeEditor(true) }),
        make("button", { type: "submit", id: "edit-send", class: "primary", text: "Send instead" })));
      form.addEventListener("submit", (event) => { event.preventDefault(); sendEdit(mine, field.value.trim()); });
      field.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); sendEdit(mine, field.value.trim()); }
      });
      editor = { form, node, turn: mine.turn };
      wordsOf(node).hidden = true;
      edit.remove();
      node.append(form);
      field.style.height = Math.min(field.scrollHeight + 2, 240) + "px";
      field.focus();
      field.setSelectionRange(field.value.length, field.value.length);
    }

    function sendEdit(mine, text) {
      if (!text) return;
      const node = editor.node;
      closeEditor(false);
      if (text === mine.text) { node.append(edit); edit.focus(); return; }
      say({ turn: mine.turn, text, client: newId() });
    }

    function closeEditor(focusBack) {
      if (!editor) return false;
      wordsOf(editor.node).hidden = false;
      editor.form.remove();
      if (focusBack) { editor.node.append(edit); edit.focus(); }
      editor = null;
      return true;
    }

    listenForSwipes();
    staySettled();
    return { drawAll, showPending, dropPending, isPending: () => pending && pending.client, isBusy, closeEditor: () => closeEditor(true),
      closeFeedback: () => closeFeedback("Closed.") };
  };
})();
