/* The seeker's page of Attune: puts the parts together and owns the quiet lines. Needs page-tools, -talk, -composer, -sheets and -drawer. */
(() => {
  "use strict";
  const WAIT = 20000;
  const BUSY = { reading: "Reading what you wrote", choosing: "Choosing" };
  const ENDED = {
    failed: "The reply did not come. Your message is kept.",
    stopped: "Stopped. Your message is kept.",
    interrupted: "The reply was interrupted. Your message is kept.",
  };
  const WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"];

  window.attunePage = (element, trigger, props, watch) => {
    const parts = window.attuneParts;
    const { remember, recall, forgetAll, setText, show, guessCountry } = parts.tools;
    const page = element.querySelector(".attune-page");
    const find = (selector) => page.querySelector(selector);
    const composer = find("#composer");
    const state = () => props.value || {};
    let drawn = false;
    let ownNotice = null;
    let halting = null;

    /* ---- speaking to the server and to screen readers */

    function send(name, data, onFailure = () => tell("That did not arrive. Nothing is lost. Try again.")) {
      try { Promise.resolve(trigger(name, data)).catch(onFailure); } catch { onFailure(); }
    }

    /* An emptied region is filled a moment later, so that the same words are read out again. */
    const fillLive = (id) => {
      let timer = 0;
      return (text) => {
        const region = find(id);
        clearTimeout(timer);
        region.textContent = "";
        timer = setTimeout(() => { region.textContent = text; }, 60);
      };
    };
    const announce = fillLive("#live");
    const alert = fillLive("#alert");

    function tell(text, again = false) {
      ownNotice = { text, again };
      drawNotice();
      announce(text);
    }

    function untell() {
      ownNotice = null;
      drawNotice();
    }

    const talk = parts.makeTalk({ page, send, announce, state, say: (words) => typed.fly(words) });
    const typed = parts.makeComposer({ page, send, state, talk, tell, untell, drawLines: () => drawLines(state()), redraw: () => draw() });
    const drawer = parts.makeDrawer({ page, send, state, leaveFor: (intoTemporary) => { typed.leaveFor(intoTemporary); drawEmpty(state()); } });
    const help = parts.makeHelp({ page, state, alert, changeCountry });
    function changeCountry(country) {
      if (!state().person) find("#welcome-country").value = country;
      send("settings", { country });
    }
    const why = parts.makeWhy({ page, send, state });
    const privacy = parts.makeSheet(find("#privacy-sheet"));
    const welcome = parts.makePerson(find("[data-person=welcome]"));
    const settings = parts.makePerson(find("[data-person=settings]"));

    /* ---- the quiet lines */

    function statusOf(value) {
      if (typed.isFlying() && !talk.isBusy(value)) return "Sending";
      const turn = value.turn;
      if (!turn) return "";
      if (turn.state === "weighing") return "Weighing " + (WORDS[turn.of] || turn.of || "") + (turn.of === 1 ? " reply" : " replies");
      return BUSY[turn.state] || ENDED[turn.state] || "";
    }

    function drawStatus(value) {
      const turn = value.turn;
      const busy = talk.isBusy(value);
      const ended = !!turn && turn.state in ENDED && !typed.isFlying();
      if (!busy || (halting && halting !== turn.id)) halting = null;
      setText(find("#status"), halting ? "Stopping" : statusOf(value));
      setText(find("#written"), busy && turn.state === "weighing" && turn.of > 1 ? "(" + turn.written + " of " + turn.of + ")" : "");
      show(find(".pulse"), busy || typed.isFlying());
      show(find("#stop"), busy && !halting);
      show(find("#retry"), ended);
      show(find(".under-way"), !!(typed.isFlying() || turn));
      typed.fitSend();
    }

    function stop() {
      const turn = state().turn;
      if (!turn || !talk.isBusy(state()) || halting) return false;
      halting = turn.id;
      send("halt", { turn: turn.id });
      const focused = document.activeElement === find("#stop");
      drawStatus(state());
      if (focused) rest();
      return true;
    }

    let told = null;
    function drawNotice() {
      const notice = ownNotice || state().notice;
      show(find("#notice"), !!notice);
      show(find("#send-again"), !!(ownNotice && ownNotice.again && typed.hasFailed()));
      if (!notice) return;
      setText(find("#notice p"), notice.text);
      if (notice.id && notice.id !== told) { told = notice.id; announce(notice.text); }
    }

    function dismiss() {
      if (ownNotice) ownNotice = null;
      else send("dismiss", {});
      drawNotice();
      if (!ownNotice && state().notice) find("#notice").hidden = true;
      rest();
    }

    function drawEmpty(value) {
      const begun = !!value.person;
      show(find("#empty"), begun && !(value.messages || []).length && !typed.isFlying());
      drawTemporary(value);
    }

    function drawTemporary(value) {
      show(find("#temporary"), !!value.person && !!typed.isTemporary());
    }

    const asksKey = (value) => "asks." + typed.placeOf(value) + "." + value.asks;
    function drawAsks(value) {
      show(find("#asks"), !!value.asks && !!value.person && !typed.isBusy() && recall(asksKey(value), "sessionStorage") !== "done");
    }

    function leaveAsks(word) {
      remember(asksKey(state()), "done", "sessionStorage");
      drawAsks(state());
      announce(word);
      rest();
    }

    /* ---- welcome and privacy */

    function drawPerson(value) {
      const person = value.person;
      show(find("#opening"), false);
      if (!person && find("#welcome").hidden) welcome.write({ country: (value.help && value.help.country) || guessCountry(value.countries || []) }, value.countries || []);
      const begins = !!person && !find("#welcome").hidden;
      show(find("#welcome"), !person);
      if (person && find("#say").hidden) {
        show(find("#say"), true);
        typed.fitComposer();
      } else show(find("#say"), !!person);
      find("#begin").removeAttribute("aria-disabled");
      if (begins) { find("#scroll").scrollTop = 0; composer.focus(); }
      const kept = value.keep_days ? "Your conversations are kept on this server for " + value.keep_days + " days, or until you delete them." : "Your conversations are kept on this server until you delete them.";
      for (const node of page.querySelectorAll("[data-kept]")) setText(node, kept);
      for (const node of page.querySelectorAll("[data-begun]")) show(node, !!person);
      for (const node of page.querySelectorAll("[data-not-begun]")) show(node, !person);
      if (!find("#privacy-sheet").open && person) settings.write(person, value.countries || []);
    }

    function beginIt(event) {
      event.preventDefault();
      if (find("#begin").getAttribute("aria-disabled")) return;
      find("#begin").setAttribute("aria-disabled", "true");
      const sorry = () => { find("#begin").removeAttribute("aria-disabled"); tell("The server did not answer. Nothing is lost. Try again."); };
      setTimeout(() => { if (!state().person) sorry(); }, WAIT);
      send("begin", welcome.read(), sorry);
    }

    function saveSettings(event) {
      event.preventDefault();
      const now = settings.read();
      const before = state().person || {};
      const changed = Object.fromEntries(Object.entries(now).filter(([name, value]) => value !== (before[name] ?? (name === "adult" ? null : ""))));
      if (Object.keys(changed).length) send("settings", changed);
      setText(find("#saved"), Object.keys(changed).length ? "Saved." : "Nothing was changed.");
    }

    function askForget(asking) {
      show(find("#forget-ask"), asking);
      show(find("#forget"), !asking);
      find(asking ? "#forget-no" : "#forget").focus();
    }

    function forgetMe() {
      forgetAll();
      typed.forgetWords();
      send("forget", {});
      askForget(false);
      privacy.close();
    }

    /* ---- drawing, keys */

    /* Where the focus goes when its control has gone: to the words, but a phone's keyboard should not jump up for that. */
    const rest = () => (matchMedia("(pointer: coarse)").matches || find("#say").hidden ? find("#scroll") : composer).focus({ preventScroll: true });

    function draw() {
      const value = props.value;
      if (!value) return;
      if (value.forgotten) { location.reload(); return; } /* the next to come is somebody new */
      const focused = page.contains(document.activeElement) ? document.activeElement : null;
      drawParts(value);
      drawn = true;
      if (focused && (!focused.isConnected || !focused.checkVisibility())) rest();
    }

    function drawParts(value) {
      page.removeAttribute("aria-busy");
      typed.changePlace(value);
      drawPerson(value);
      const settle = talk.drawAll(value, !drawn);
      typed.noteArrival(value);
      drawLines(value);
      help.drawHelp(value);
      drawer.drawDrawer(value);
      why.drawWhy(value);
      drawNotice();
      settle();
    }

    function drawLines(value) {
      drawEmpty(value);
      drawStatus(value);
      drawAsks(value);
    }

    function escape(event) {
      if (event.key !== "Escape" || event.isComposing || page.querySelector("dialog[open]")) return;
      if (talk.closeEditor() || drawer.escape() || talk.closeFeedback() || stop()) event.preventDefault();
    }

    document.addEventListener("keydown", escape);
    find("#stop").addEventListener("click", stop);
    find("#retry").addEventListener("click", () => send("again", { turn: state().turn.id }));
    find("#notice-dismiss").addEventListener("click", dismiss);
    find("#welcome").addEventListener("submit", beginIt);
    find("#settings").addEventListener("submit", saveSettings);
    find("#settings").addEventListener("input", () => setText(find("#saved"), ""));
    find("#privacy").addEventListener("click", () => { setText(find("#saved"), ""); privacy.open(); });
    find("#forget").addEventListener("click", () => askForget(true));
    find("#forget-no").addEventListener("click", () => askForget(false));
    find("#forget-yes").addEventListener("click", forgetMe);
    find("#distress").addEventListener("input", () => setText(find("#distress-value"), find("#distress").value));
    find("#asks").addEventListener("submit", (event) => {
      event.preventDefault();
      send("distress", { when: state().asks, value: Number(find("#distress").value) });
      leaveAsks("Thank you.");
    });
    find("#distress-not-now").addEventListener("click", () => leaveAsks("All right."));
    find(".skip").addEventListener("click", (event) => { event.preventDefault(); (find("#say").hidden ? find("#begin") : composer).focus(); });

    /* On a phone the keyboard covers the page's foot; the page then ends above it. */
    if (window.visualViewport) {
      window.visualViewport.addEventListener("resize", () => page.style.setProperty("--seen", window.visualViewport.height + "px"));
    }

    page.dataset.ready = "yes";
    draw();
    watch("value", draw);
  };
})();
