/* What opens over the conversation or stands above the composer: help lines, the crisis card, why, privacy and the welcome. */
(() => {
  "use strict";
  const parts = (window.attuneParts = window.attuneParts || {});
  const SAFE_WEB = /^https?:\/\//i;

  /* ---- dialogs: the browser traps the focus and closes on Escape; the focus returns to where it came from */

  parts.makeSheet = (dialog) => {
    let from = null;
    const open = () => {
      if (dialog.open) return;
      from = document.activeElement;
      dialog.showModal();
    };
    const close = () => dialog.open && dialog.close();
    dialog.addEventListener("close", () => { if (from && from.isConnected) from.focus(); from = null; });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) close();
    });
    return { open, close, isOpen: () => dialog.open };
  };

  /* ---- the questions about the person, the same at the welcome and under Privacy */

  parts.makePerson = (box) => {
    const { make, fillCountries } = parts.tools;
    const id = (name) => box.dataset.person + "-" + name;
    const choice = (value, text) => make("label", {}, make("input", { type: "radio", name: id("adult"), value, checked: value === "unsaid" }), make("span", { text }));
    const country = make("select", { id: id("country"), "data-country": box.dataset.person });
    const training = make("input", { type: "checkbox", id: id("training"), "aria-describedby": id("training-what") });
    const about = make("textarea", { id: id("about"), rows: "2", maxlength: "2000", "aria-describedby": id("about-what") });
    box.append(
      make("label", { class: "field", for: country.id }, make("span", { text: "Where are you? (for the right help lines)" }), country),
      make("fieldset", {}, make("legend", { text: "Are you an adult?" }),
        make("div", { class: "radios" }, choice("yes", "Yes, an adult"), choice("no", "Under 18"), choice("unsaid", "Rather not say"))),
      make("div", {}, make("label", { class: "field", for: about.id },
        make("span", {}, "About me ", make("span", { class: "optional", text: "(optional)" })), about),
      make("p", { class: "small", id: id("about-what"), text: "What Attune should know, such as your name or what you are living through. Kept on this server." })),
      make("div", {}, make("label", { class: "check" }, training, make("span", { text: "Attune may learn from my conversations" })),
        make("p", { class: "small explains", id: id("training-what"), text:
          "Off unless you turn it on, and nothing else depends on it. If it is on, your words, without names, numbers and links as far as a program can find them, train the program that writes the replies on this server. Temporary conversations and moments of crisis are left out. You can turn it off at any time: from then on nothing more is learned from them." })));

    const read = () => {
      const adult = box.querySelector("input[type=radio]:checked").value;
      return { country: country.value, adult: adult === "unsaid" ? null : adult === "yes", training: training.checked, about: about.value.trim() };
    };
    const write = (person, countries) => {
      fillCountries(country, countries, person.country || "");
      country.value = person.country || "";
      const adult = person.adult === true ? "yes" : person.adult === false ? "no" : "unsaid";
      for (const radio of box.querySelectorAll("input[type=radio]")) radio.checked = radio.value === adult;
      training.checked = !!person.training;
      about.value = person.about || "";
    };
    return { read, write };
  };

  /* ---- the help lines */

  parts.makeHelp = ({ page, changeCountry, state, alert }) => {
    const { make, telLink, setText, show, fillCountries, recall, remember } = parts.tools;
    const card = page.querySelector("#card");
    const sheet = parts.makeSheet(page.querySelector("#help-sheet"));
    let drawn = "";
    let alerted = null;

    const emergencyOf = (help) => (help && help.emergency) || "112";

    function drawSheet(help) {
      const box = page.querySelector("#help-lines");
      const urgent = make("div", { class: "phones" }, makePhone(emergencyOf(help), help && help.name ? "Emergency, " + help.name : "Emergency", true));
      if (help && help.police && help.police !== help.emergency) urgent.append(makePhone(help.police, "Police"));
      box.replaceChildren(urgent, ...((help && help.lines) || []).map(makeLine));
    }

    const makePhone = (number, name, first) => telLink(number, { class: "phone" + (first ? " first" : "") }, make("b", { text: number }), make("span", { text: name }));

    function makeLine(line) {
      const whom = { suicide: "For thoughts of suicide", violence: "For violence at home", young: "For young people", any: "For anyone" }[line.for];
      const details = [whom, line.hours, line.languages].filter(Boolean).join(" · ");
      const node = make("div", { class: "line" }, make("h3", { text: line.name }), details && make("p", { text: details }));
      if (line.phone) node.append(make("div", {}, telLink(line.phone, { class: "number" })));
      if (line.text) node.append(make("p", { text: "By text message: " + line.text }));
      if (line.web) node.append(SAFE_WEB.test(line.web)
        ? make("div", {}, make("a", { href: line.web, target: "_blank", rel: "noopener noreferrer", text: line.web.replace(SAFE_WEB, "").replace(/\/$/, "") }))
        : make("p", { text: line.web }));
      return node;
    }

    /* ---- the card above the composer: it folds, it never goes away */

    /* Folded for what was said so far: a later turn that raises the card, where the server names it, unfolds it again. */
    const key = (value) => "card." + ((value.conversation && value.conversation.id) || "new") + (value.card && value.card.turn ? "." + value.card.turn : "");

    function drawCard(value) {
      const tier = value.card ? value.card.tier : null;
      show(card, !!tier);
      if (!tier) { alerted = null; return; }
      const folded = recall(key(value), "sessionStorage") === "folded";
      card.className = "card " + tier;
      show(card.querySelector(".card-full"), tier === "crisis" && !folded);
      show(card.querySelector(".card-line"), tier === "crisis" && folded);
      show(card.querySelector(".card-offer"), tier === "concern");
      if (tier === "crisis") sayOnce(value, folded);
    }

    function sayOnce(value, folded) {
      const which = key(value);
      if (alerted === which || (alerted === "card.new" && which !== "card.new")) { alerted = which; return; }
      alerted = which;
      if (!folded) alert("If you might be in danger, please talk to a person now. The emergency number is " + emergencyOf(value.help) + ". More numbers stand above the message box.");
    }

    function fold(folded) {
      remember(key(state()), folded ? "folded" : null, "sessionStorage");
      drawCard(state());
      card.querySelector(folded ? "#unfold" : "#safe").focus();
    }

    function drawCardNumbers(help) {
      const number = emergencyOf(help);
      const small = card.querySelector("#card-emergency");
      setText(small, number);
      small.setAttribute("aria-label", number + ", emergency" + (help && help.name ? ", " + help.name : ""));
      small.href = "tel:" + number.replace(/[^0-9+*#]/g, "");
      const lines = ((help && help.lines) || []).filter((line) => line.phone).slice(0, 2);
      card.querySelector("#card-phones").replaceChildren(makePhone(number, help && help.name ? "Emergency, " + help.name : "Emergency", true),
        ...lines.map((line) => makePhone(line.phone, line.name)));
    }

    function drawHelp(value) {
      const seen = JSON.stringify(value.help || null);
      if (seen !== drawn) { drawn = seen; drawSheet(value.help); drawCardNumbers(value.help); }
      for (const select of page.querySelectorAll("select[data-country=help], select[data-country=card]")) {
        fillCountries(select, value.countries || [], (value.help && value.help.country) || "");
      }
      drawCard(value);
    }

    page.addEventListener("click", (event) => {
      if (event.target.closest("#help, [data-help]")) sheet.open();
      else if (event.target.closest("#safe")) fold(true);
      else if (event.target.closest("#unfold")) fold(false);
    });
    page.addEventListener("change", (event) => {
      if (event.target.matches("select[data-country=help], select[data-country=card]")) changeCountry(event.target.value);
    });
    drawSheet(null);
    drawCardNumbers(null);
    return { drawHelp };
  };

  /* ---- why this reply */

  parts.makeWhy = ({ page, send, state }) => {
    const { make, draw, setText, show } = parts.tools;
    const sheet = parts.makeSheet(page.querySelector("#why-sheet"));
    const waiting = page.querySelector("#why-waiting");
    const box = page.querySelector("#why-replies");
    let asked = null;
    let drawn = null;

    const outOf = (share) => (typeof share === "number" ? Math.round(share * 100) + " out of 100" : "not weighed");

    function openWhy(turn) {
      asked = turn;
      drawn = null;
      box.replaceChildren();
      setText(waiting, "Looking up how the replies were weighed.");
      show(waiting, true);
      sheet.open();
      drawWhy(state());
      if (drawn) return;
      send("why", { turn });
      setTimeout(() => { if (asked === turn && !drawn) setText(waiting, "The explanation did not come. Nothing is lost. Close this and try again."); }, 20000);
    }

    function drawWhy(value) {
      const why = value && value.why;
      if (!asked || !why || why.turn !== asked) return;
      const seen = JSON.stringify(why);
      if (seen === drawn) return;
      drawn = seen;
      show(waiting, false);
      const replies = [...why.replies].sort((a, b) => Number(b.shown) - Number(a.shown));
      box.replaceChildren(...replies.map((reply, index) => makeReply(reply, index, replies)));
    }

    function makeReply(reply, index, replies) {
      const title = reply.shown ? "The reply you see" : replies.filter((r) => !r.shown).length > 1 ? "Another way, " + (index + (replies[0].shown ? 0 : 1)) : "Another way";
      const radar = makeRadar(reply.perspectives);
      return make("section", { class: "weighed" + (reply.shown ? " shown" : ""), "aria-label": title },
        make("h3", { text: title }), make("blockquote", { dir: "auto", text: reply.text }),
        makeTable(title, reply.perspectives),
        make("div", { class: "sides", "aria-hidden": "true" }, radar, makeBars(reply.perspectives)));
    }

    function makeTable(title, sides) {
      const rows = sides.map((side) => make("tr", {}, make("th", { scope: "row", text: side.name }), make("td", { text: outOf(side.share) }), make("td", { text: side.reason || "" })));
      return make("table", { class: "seen-not" }, make("caption", { text: title + ": how it was weighed" }),
        make("thead", {}, make("tr", {}, ...["Side", "Estimate", "Reason"].map((text) => make("th", { scope: "col", text })))), make("tbody", {}, ...rows));
    }

    const makeBars = (sides) => make("div", { class: "bars" }, ...sides.map((side, index) => {
      const fill = make("i");
      fill.style.width = (typeof side.share === "number" ? Math.round(side.share * 100) : 0) + "%";
      return make("div", {}, make("div", { class: "side-name" }, make("span", { text: index + 1 + ". " + side.name }), make("b", { text: outOf(side.share) })),
        make("div", { class: "track" }, fill), side.reason && make("p", { text: side.reason }));
    }));

    /* The numbers at the corners are those before the bars' names. */
    function makeRadar(sides) {
      const svg = draw("svg", { viewBox: "0 0 100 100", class: "radar", "aria-hidden": "true" });
      const corner = (index, share) => {
        const angle = (2 * Math.PI * index) / sides.length - Math.PI / 2;
        return [50 + 40 * share * Math.cos(angle), 50 + 40 * share * Math.sin(angle)];
      };
      const points = (shares) => shares.map((share, index) => corner(index, share).map((n) => n.toFixed(1)).join(",")).join(" ");
      for (const ring of [0.33, 0.66, 1]) svg.append(draw("polygon", { class: "web", points: points(sides.map(() => ring)) }));
      sides.forEach((_, index) => {
        const [x, y] = corner(index, 1);
        svg.append(draw("line", { class: "web", x1: 50, y1: 50, x2: x, y2: y }));
        const [tx, ty] = corner(index, 1.16);
        const label = draw("text", { x: tx, y: ty });
        label.textContent = String(index + 1);
        svg.append(label);
      });
      if (sides.every((side) => typeof side.share === "number")) svg.append(draw("polygon", { class: "shape", points: points(sides.map((side) => Math.max(0.03, side.share))) }));
      return svg;
    }

    page.addEventListener("attune-why", (event) => openWhy(event.detail));
    return { drawWhy };
  };
})();
