// All text reaches the page through textContent; only the cases of one page are built at a time.
(function () {
  "use strict";

  // ---- Tables: those that fit need no stop on the keyboard's way.

  function markScrollers() {
    document.querySelectorAll(".scroll").forEach((box) => {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    });
  }
  markScrollers();
  window.addEventListener("resize", markScrollers);

  // ---- The case browser

  const source = document.getElementById("case-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const PAGE = 20;
  const LONGEST = 1500; // words of a text whose differences are marked
  const byId = (id) => document.getElementById(id);
  const list = byId("case-list"), status = byId("case-status"), pages = byId("case-page");
  const search = byId("case-search"), group = byId("case-group"), arm = byId("case-arm");
  const mark = byId("case-mark"), kind = byId("case-kind");
  const pairView = byId("view-pair"), left = byId("case-left"), right = byId("case-right"), compare = byId("case-compare");
  const LEVEL = byId("browser").dataset.level;
  const text = (index) => data.texts[index];
  const number = (value) => value.toLocaleString("en");
  const counted = (count, noun) => number(count) + " " + noun + (count === 1 ? "" : "s");
  let found = data.cases, page = 0;

  function element(tag, className, content) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (content !== undefined) { made.textContent = content; made.dir = "auto"; }
    return made;
  }

  function option(value, content) {
    const made = element("option", "", content);
    made.value = value;
    return made;
  }

  // A case on the wire: [id, group, question, expected, answers]
  // An answer: [mark, score, value, answer, raw, remark, trouble, passages, kind]
  function answerOf(row) {
    const [sign, score, value, answer, raw, remark, trouble, passages, failure] = row;
    return {
      sign, value, trouble, passages, score: text(score), answer: text(answer), raw: text(raw), remark: text(remark),
      failure: data.kinds[failure],
    };
  }

  // ---- Differences between two texts, word by word

  const segmenter = window.Intl && Intl.Segmenter ? new Intl.Segmenter("en", { granularity: "word" }) : null;

  function pieces(content) {
    if (segmenter) return Array.from(segmenter.segment(content), (part) => part.segment);
    return content.match(/\s+|[\p{L}\p{N}][\p{L}\p{M}\p{N}]*|[^\p{L}\p{N}\s]+/gu) || [];
  }

  // Words with the space before each: [{ lead, word }]
  function wordsOf(content) {
    const words = [];
    let lead = "";
    pieces(content).forEach((piece) => {
      if (piece.trim() === "") lead += piece;
      else { words.push({ lead, word: piece }); lead = ""; }
    });
    return words;
  }

  // Lengths of the longest common subsequences of all ends of the two texts.
  function commonLengths(one, other) {
    const width = other.length + 1, lengths = new Uint16Array((one.length + 1) * width);
    for (let i = one.length - 1; i >= 0; i--) {
      for (let j = other.length - 1; j >= 0; j--) {
        const at = i * width + j;
        lengths[at] = one[i].word === other[j].word
          ? lengths[at + width + 1] + 1
          : Math.max(lengths[at + width], lengths[at + 1]);
      }
    }
    return lengths;
  }

  function middle(one, other) {
    const lengths = commonLengths(one, other), width = other.length + 1, steps = [];
    let i = 0, j = 0;
    while (i < one.length && j < other.length) {
      if (one[i].word === other[j].word) steps.push({ where: "both", one: one[i++], other: other[j++] });
      else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) steps.push({ where: "one", one: one[i++] });
      else steps.push({ where: "other", other: other[j++] });
    }
    while (i < one.length) steps.push({ where: "one", one: one[i++] });
    while (j < other.length) steps.push({ where: "other", other: other[j++] });
    return steps;
  }

  // Both texts as one list of words, each in `one`, in `other` or in both; null: nothing sensible to mark.
  function differences(first, second) {
    const one = wordsOf(first), other = wordsOf(second);
    if (!one.length || !other.length || Math.max(one.length, other.length) > LONGEST) return null;
    const shorter = Math.min(one.length, other.length);
    let start = 0, end = 0;
    while (start < shorter && one[start].word === other[start].word) start++;
    while (end < shorter - start && one[one.length - 1 - end].word === other[other.length - 1 - end].word) end++;
    const both = (i, j) => ({ where: "both", one: one[i], other: other[j] });
    return [
      ...Array.from({ length: start }, (_, i) => both(i, i)),
      ...middle(one.slice(start, one.length - end), other.slice(start, other.length - end)),
      ...Array.from({ length: end }, (_, i) => both(one.length - end + i, other.length - end + i)),
    ];
  }

  // Text nodes and marks; neighbours with the same tag share one mark.
  function marked(words) {
    const nodes = [];
    let last = null;
    words.forEach(({ tag, lead, word }, i) => {
      // A word put in from the other text must not stick to its neighbour.
      const glued = i > 0 && lead === "" && last.tag !== tag && (tag === "del" || last.tag === "del");
      const space = i === 0 ? "" : glued ? " " : lead;
      if (last && last.tag === tag) last.text += space + word;
      else {
        if (space) nodes.push({ tag: "", text: space });
        nodes.push(last = { tag, text: word });
      }
    });
    return nodes.map((node) => {
      if (!node.tag) return document.createTextNode(node.text);
      const made = document.createElement(node.tag);
      made.textContent = node.text;
      return made;
    });
  }

  const counting = (words) => words.filter(({ word }) => /[\p{L}\p{N}]/u.test(word)).length;

  function againstOther(own, theirs) {
    const steps = differences(own, theirs);
    if (!steps) return null;
    const kept = steps.filter((step) => step.where !== "other"), only = kept.filter((step) => step.where === "one");
    const words = kept.map((step) => ({ tag: step.where === "one" ? "mark" : "", ...step.one }));
    const same = kept.length === steps.length ? "Same words as the other answer" : "Every word is in the other answer too";
    const said = only.length ? counted(counting(only.map((step) => step.one)), "word") + " not in the other answer" : same;
    return { nodes: marked(words), said };
  }

  // How many of the answer's words are in the expected one: picks the accepted answer that was most likely meant.
  function shared(answer, expected) {
    const words = new Set(wordsOf(expected).map((one) => one.word));
    return wordsOf(answer).filter((one) => words.has(one.word)).length / (words.size || 1);
  }

  function againstExpected(own, accepted) {
    const ranked = accepted.map((expected) => ({ expected, score: shared(own, expected) }));
    const nearest = ranked.reduce((best, one) => (one.score > best.score ? one : best));
    const steps = differences(own, nearest.expected);
    if (!steps) return null;
    const tags = { one: "ins", other: "del", both: "" };
    const count = (tag) => counting(words.filter((one) => one.tag === tag));
    const words = steps.map((step) => ({ tag: tags[step.where], ...(step.one || step.other) }));
    const changed = words.some((one) => one.tag);
    const said = changed ? counted(count("ins"), "word") + " more, " + number(count("del")) + " missing" : "The expected words";
    return { nodes: marked(words), said };
  }

  // ---- Cases

  function details(summary, parts) {
    const made = element("details");
    made.append(element("summary", "", summary));
    made.addEventListener("toggle", () => { if (made.open && made.children.length === 1) made.append(...parts()); });
    return made;
  }

  function passageParts(places) {
    return places.flatMap((place) => {
      const [title, body] = data.passages[place];
      return [element("p", "source", text(title)), element("p", "text", text(body))];
    });
  }

  function answerText(answer, difference) {
    const made = element("p", "text", answer.answer || "(nothing)");
    if (!answer.answer) made.classList.add("nothing");
    if (difference) made.replaceChildren(...difference.nodes);
    return made;
  }

  function answerBody(answer, difference) {
    const body = element("div", "body"), count = answer.passages.length;
    body.append(answerText(answer, difference));
    if (difference) body.append(element("p", "remark said", difference.said));
    if (answer.remark) body.append(element("p", "remark", answer.remark));
    if (answer.raw) body.append(details("As the model wrote it", () => [element("p", "text", answer.raw)]));
    if (count) body.append(details(counted(count, "passage") + " read", () => passageParts(answer.passages)));
    return body;
  }

  function score(answer) {
    const signs = { right: "✓ ", wrong: "✗ " }, made = element("div", "score");
    made.append(element("span", "mark " + answer.sign, (signs[answer.sign] || "") + answer.score));
    if (answer.failure && answer.failure !== answer.score) made.append(element("span", "failure", answer.failure));
    return made;
  }

  function answerLine(place, row) {
    const answer = answerOf(row), line = element("div", "line");
    line.append(element("span", "name", data.arms[place]), score(answer), answerBody(answer));
    return line;
  }

  function difference(own, theirs, accepted) {
    if (compare.value === "other") return againstOther(own, theirs);
    return compare.value === "expected" ? againstExpected(own, accepted) : null;
  }

  function answerPair(answers, accepted) {
    const made = element("div", "columns"), places = [Number(left.value), Number(right.value)];
    places.forEach((place, side) => {
      const answer = answerOf(answers[place]), other = text(answers[places[1 - side]][3]);
      const column = element("div", "column");
      column.append(element("span", "name", data.arms[place]), score(answer));
      column.append(answerBody(answer, difference(answer.answer, other, accepted)));
      made.append(column);
    });
    return made;
  }

  function linkTo(id) {
    const made = element("a", "self", "Link");
    made.href = "#case=" + encodeURIComponent(id);
    made.setAttribute("aria-label", "Link to case " + id);
    return made;
  }

  function caseHead(id, place) {
    const head = element("div", "head"), heading = element("h" + LEVEL, "", "Case " + id);
    heading.tabIndex = -1;
    head.append(heading, element("span", "group", data.groups[place]), linkTo(id));
    return head;
  }

  function caseCard(row) {
    const [id, place, question, expected, answers] = row;
    const card = element("article", pairView.checked ? "case paired" : "case"), wanted = element("div", "line expected");
    wanted.append(element("span", "name", "Expected"), element("p", "text", expected.map(text).join("\nor: ")));
    card.setAttribute("aria-label", "Case " + id);
    card.append(caseHead(id, place), element("p", "text question", text(question)), wanted);
    if (pairView.checked) card.append(answerPair(answers, expected.map(text)));
    else answers.forEach((answer, i) => { if (arm.value === "" || Number(arm.value) === i) card.append(answerLine(i, answer)); });
    return card;
  }

  // ---- Finding

  const LETTERS = { "ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe" };

  function folded(content) {
    const lower = content.toLowerCase();
    if (/^[\x00-\x7f]*$/.test(lower)) return lower;
    return lower.normalize("NFD").replace(/\p{M}/gu, "").replace(/[łøđħıßæœ]/g, (letter) => LETTERS[letter]);
  }

  // Places of a case's texts in data.texts that the search looks into.
  const searched = ([, , question, expected, answers]) => [question, ...expected, ...answers.map((answer) => answer[3])];
  const forms = [];
  const formOf = (place) => (forms[place] === undefined ? (forms[place] = folded(text(place))) : forms[place]);

  // A test of cases by one word of the search; each text is looked at once, however many cases have it.
  function holds(word) {
    const known = new Map();
    const has = (place) => {
      if (!known.has(place)) known.set(place, formOf(place).includes(word));
      return known.get(place);
    };
    return (row) => folded(row[0]).includes(word) || searched(row).some(has);
  }

  const tests = {
    right: (answer) => answer[0] === "right",
    wrong: (answer) => answer[0] === "wrong",
    high: (answer) => answer[2] !== null && answer[2] >= 0.5,
    low: (answer) => answer[2] !== null && answer[2] < 0.5,
    trouble: (answer) => answer[6],
  };

  const chosen = (answers) => (arm.value === "" ? answers : [answers[Number(arm.value)]]);

  function fits(row) {
    if (group.value !== "" && Number(group.value) !== row[1]) return false;
    const wanted = [];
    if (mark.value) wanted.push(tests[mark.value]);
    if (kind.value) wanted.push((answer) => answer[8] === Number(kind.value));
    return !wanted.length || chosen(row[4]).some((answer) => wanted.every((test) => test(answer)));
  }

  // ---- Showing

  function steps() { return Math.max(1, Math.ceil(found.length / PAGE)); }

  function show() {
    const first = page * PAGE, shown = found.slice(first, first + PAGE);
    list.replaceChildren(...shown.map(caseCard));
    status.textContent = shown.length
      ? "Cases " + number(first + 1) + " to " + number(first + shown.length) + " of " + number(found.length)
      : "No case fits. Clear the search or a filter.";
    pages.value = page;
    // A button that is switched off would lose the keyboard's focus.
    document.querySelectorAll("[data-step]").forEach((button) => {
      const to = page + Number(button.dataset.step);
      button.setAttribute("aria-disabled", String(to < 0 || to >= steps()));
    });
  }

  function filter() {
    const words = folded(search.value).split(/\s+/).filter(Boolean).map(holds);
    found = data.cases.filter((row) => fits(row) && words.every((test) => test(row)));
    page = 0;
    pages.replaceChildren(...Array.from({ length: steps() }, (_, i) => option(i, number(i + 1) + " of " + number(steps()))));
    show();
  }

  function clear() {
    [search, group, arm, mark, kind].forEach((control) => { control.value = ""; });
    fillKinds();
    filter();
  }

  function setView() {
    byId("case-pair").hidden = !pairView.checked;
    document.querySelectorAll(".legend").forEach((legend) => {
      legend.hidden = !pairView.checked || legend.dataset.for !== compare.value;
    });
    show();
  }

  // The kinds of failure of the chosen arm, or of all, with the number of cases that have them.
  function fillKinds() {
    const before = kind.value, counts = data.kinds.map(() => 0);
    data.cases.forEach((row) => { new Set(chosen(row[4]).map((answer) => answer[8])).forEach((place) => { counts[place] += 1; }); });
    const present = data.kinds.map((name, place) => ({ name, place })).filter(({ place }) => place && (counts[place] || String(place) === before));
    const options = present.map(({ name, place }) => option(place, name + " (" + number(counts[place]) + ")"));
    kind.replaceChildren(option("", "any"), ...options);
    kind.value = before;
  }

  function note() {
    const said = [];
    if (data.cut) said.push("Texts are cut after " + number(data.limit) + " characters here.");
    if (data.cases.length < data.total) said.push("This page holds " + number(data.cases.length) + " of " + number(data.total) + " cases.");
    if (!said.length) return;
    byId("case-note").textContent = said.join(" ") + " The run folder has everything.";
    byId("case-note").hidden = false;
  }

  function fill() {
    const sizes = data.groups.map(() => 0);
    data.cases.forEach((row) => { sizes[row[1]] += 1; });
    data.groups.forEach((title, i) => group.append(option(i, title + " (" + number(sizes[i]) + ")")));
    [arm, left, right].forEach((control) => data.arms.forEach((name, i) => control.append(option(i, name))));
    right.value = Math.min(1, data.arms.length - 1);
    const marks = data.graded ? [["high", "50 points or more"], ["low", "below 50 points"]] : [["right", "right"], ["wrong", "wrong"]];
    [["", "any"], ...marks, ["trouble", "failed or cut off"]].forEach(([value, name]) => mark.append(option(value, name)));
    fillKinds();
    byId("case-kinds").hidden = data.kinds.length < 2;
    byId("case-views").hidden = data.arms.length < 2;
  }

  function turn(to) {
    if (to < 0 || to >= steps()) return false;
    page = to;
    show();
    return true;
  }

  // ---- Links to a case: #case=ID

  function linkedId() {
    const [, id] = /^#case=(.*)$/.exec(window.location.hash) || [];
    if (id === undefined) return null;
    try { return decodeURIComponent(id); } catch (_) { return id; }
  }

  function openLinked() {
    const id = linkedId(), place = () => found.findIndex((row) => row[0] === id);
    if (id === null) return;
    if (place() < 0) clear();
    if (place() < 0) { status.textContent = "There is no case " + id + " on this page."; return; }
    page = Math.floor(place() / PAGE);
    show();
    const card = list.children[place() % PAGE];
    card.classList.add("linked");
    card.scrollIntoView();
    card.querySelector(".head > :first-child").focus({ preventScroll: true });
  }

  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 80); });
  [group, mark, kind].forEach((control) => control.addEventListener("change", filter));
  arm.addEventListener("change", () => { fillKinds(); filter(); });
  [byId("view-list"), pairView, left, right, compare].forEach((control) => control.addEventListener("change", setView));
  pages.addEventListener("change", () => turn(Number(pages.value)));
  byId("case-clear").addEventListener("click", clear);
  byId("case-controls").addEventListener("submit", (event) => event.preventDefault());
  document.querySelectorAll("[data-step]").forEach((button) => button.addEventListener("click", () => {
    const turned = turn(page + Number(button.dataset.step));
    if (turned && button.closest(".foot")) { list.scrollIntoView(); list.focus({ preventScroll: true }); }
  }));
  window.addEventListener("hashchange", openLinked);
  fill();
  note();
  byId("case-controls").hidden = false;
  document.querySelectorAll(".pager").forEach((pager) => { pager.hidden = false; });
  filter();
  setView();
  openLinked();
})();
