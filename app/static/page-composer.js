/* The composer: what is typed is kept whatever happens, and what is sent is the same message until it has arrived. */
(() => {
  "use strict";
  const parts = (window.attuneParts = window.attuneParts || {});
  const WAIT = 20000;

  parts.makeComposer = ({ page, send, state, talk, tell, untell, drawLines, redraw }) => {
    const { remember, recall, newId } = parts.tools;
    const find = (selector) => page.querySelector(selector);
    const composer = find("#composer");
    let place = null;       /* the conversation whose draft stands in the composer */
    let flying = null;      /* what was sent and is not yet in the state */
    let failed = null;      /* what did not arrive, with the id it keeps */
    let temporary = recall("temporary", "sessionStorage") === "yes";

    const isTemporary = () => (state().conversation ? state().conversation.temporary : temporary);
    const placeOf = (value) => (value.conversation ? value.conversation.id : "new");

    const keepDraft = () => { if (place && !isTemporary()) remember("draft." + place, composer.value); };
    const keepSent = (sent) => { if (!isTemporary()) remember("sent." + (place || "new"), sent && JSON.stringify(sent)); };

    function fitComposer() {
      composer.style.height = "auto";
      composer.style.height = Math.min(composer.scrollHeight, 166) + "px";
      find("#send").setAttribute("aria-disabled", String(!composer.value.trim() || isBusy()));
    }

    function setComposer(text) {
      composer.value = text;
      fitComposer();
    }

    const isBusy = () => !!flying || talk.isBusy(state());

    function sayIt() {
      const text = composer.value.trim();
      if (!text) { composer.focus(); return; }
      if (isBusy()) { tell("A reply is on its way. Your words stay here until it has come, or stop it first."); return; }
      const same = failed && failed.text === text;
      const client = same ? failed.client : newId();
      const turn = same ? failed.turn : null;
      setComposer("");
      keepDraft();
      fly({ turn, text, client });
    }

    /* What was sent is on the page at once, and in the browser's memory until the server has it. */
    function fly({ turn, text, client }) {
      failed = null;
      untell();
      flying = { client, text, turn, timer: setTimeout(() => crash(client), WAIT) };
      keepSent({ client, text, turn });
      talk.showPending(client, text, turn);
      drawLines();
      const lost = () => crash(client);
      if (turn) send("edit", { turn, client_id: client, text }, lost);
      else send("say", { client_id: client, text, conversation: state().conversation ? state().conversation.id : null, temporary: isTemporary() }, lost);
    }

    function crash(client) {
      if (!flying || flying.client !== client) return;
      clearTimeout(flying.timer);
      giveBack(flying);
      flying = null;
      talk.dropPending();
      redraw();
      tell("Your message did not arrive. Your words are still in the box.", true);
    }

    /* Words typed since then are not overwritten. */
    function giveBack({ client, text, turn }) {
      failed = { client, text, turn };
      if (!composer.value.trim()) setComposer(text);
      else if (composer.value.trim() !== text) setComposer(text + "\n\n" + composer.value);
      keepDraft();
    }

    function noteArrival(value) {
      const arrived = (client) => (value.messages || []).some((message) => message.client === client);
      if (flying && arrived(flying.client)) {
        clearTimeout(flying.timer);
        flying = null;
        keepSent(null);
        if (value.conversation) { remember("sent.new", null); temporary = false; remember("temporary", null, "sessionStorage"); }
      }
      const kept = !flying && readSent(placeOf(value));
      if (kept && arrived(kept.client)) remember("sent." + placeOf(value), null);
      if (failed && arrived(failed.client)) {
        if (composer.value.trim() === failed.text) { setComposer(""); keepDraft(); }
        failed = null;
        untell();
      }
    }

    const readSent = (where) => { try { return JSON.parse(recall("sent." + where)); } catch { return null; } };

    /* Each conversation has its own draft. A first message makes a new conversation: what is typed meanwhile goes along. */
    function changePlace(value) {
      const now = placeOf(value);
      if (now === place) return;
      const grown = place === "new" && (value.messages || []).some((message) => message.client && message.client === talk.isPending());
      const before = place;
      place = now;
      if (grown) { remember("draft." + before, null); keepDraft(); return; }
      forgetWords();
      setComposer(recall("draft." + now) || "");
      const lost = readSent(now);
      if (lost && !(value.messages || []).some((message) => message.client === lost.client)) {
        giveBack(lost);
        tell("A message did not arrive before the page was closed. Your words are still in the box.", true);
      }
    }

    function leaveFor(intoTemporary) {
      keepDraft();
      temporary = intoTemporary;
      remember("temporary", intoTemporary ? "yes" : null, "sessionStorage");
    }

    function forgetWords() {
      if (flying) { clearTimeout(flying.timer); flying = null; talk.dropPending(); }
      failed = null;
      setComposer("");
    }

    const fitSend = () => find("#send").setAttribute("aria-disabled", String(!composer.value.trim() || isBusy()));

    composer.addEventListener("input", () => { fitComposer(); keepDraft(); });
    composer.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      sayIt();
    });
    find("#say").addEventListener("submit", (event) => { event.preventDefault(); sayIt(); });
    find("#send-again").addEventListener("click", sayIt);
    for (const opener of page.querySelectorAll(".opener")) {
      opener.addEventListener("click", () => { setComposer(opener.textContent); keepDraft(); composer.focus(); });
    }
    return { fly, fitComposer, fitSend, isBusy, isTemporary, isFlying: () => !!flying, hasFailed: () => !!failed, placeOf, changePlace, noteArrival, leaveFor, forgetWords };
  };
})();
