// The case browser. All text reaches the page through textContent; only the cases of one page are built at a time.
(function () {
  "use strict";
  const source = document.getElementById("case-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const PAGE = 20;
  const byId = (id) => document.getElementById(id);
  const list = byId("case-list");
  const search = byId("case-search"), group = byId("case-group"), arm = byId("case-arm"), mark = byId("case-mark");
  const text = (index) => data.texts[index];
  const number = (value) => value.toLocaleString("en");
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

  // An answer on the wire: [mark, score, value, answer, raw, remark, trouble, passages]
  function answerOf(row) {
    const [kind, score, value, answer, raw, remark, trouble, passages] = row;
    return { kind, score: text(score), value, answer: text(answer), raw: text(raw), remark: text(remark), trouble, passages };
  }

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

  function answerLine(name, row) {
    const answer = answerOf(row);
    const line = element("div", "line"), body = element("div", "body");
    const sign = { right: "✓ ", wrong: "✗ " }[answer.kind] || "";
    body.append(element("p", "text", answer.answer || "(nothing)"));
    if (answer.remark) body.append(element("p", "remark", answer.remark));
    if (answer.raw) body.append(details("As the model wrote it", () => [element("p", "text", answer.raw)]));
    const count = answer.passages.length;
    if (count) body.append(details(count === 1 ? "1 passage read" : count + " passages read", () => passageParts(answer.passages)));
    line.append(element("span", "name", name), element("span", "mark " + answer.kind, sign + answer.score), body);
    return line;
  }

  function caseCard(row) {
    const [id, place, question, expected, answers] = row;
    const card = element("article", "case"), head = element("header"), wanted = element("div", "line expected");
    head.append(element("h3", "", "Case " + id), element("span", "", data.groups[place]));
    wanted.append(element("span", "name", "Expected"), element("p", "text", expected.map(text).join("\nor: ")));
    card.append(head, element("p", "text question", text(question)), wanted);
    answers.forEach((answer, i) => { if (arm.value === "" || Number(arm.value) === i) card.append(answerLine(data.arms[i], answer)); });
    return card;
  }

  const haystacks = new Map();
  function haystack(row) {
    if (!haystacks.has(row)) {
      const [id, , question, expected, answers] = row;
      const parts = [id, text(question), ...expected.map(text), ...answers.map((answer) => text(answer[3]))];
      haystacks.set(row, parts.join("\n").toLowerCase());
    }
    return haystacks.get(row);
  }

  const tests = {
    right: (answer) => answer[0] === "right",
    wrong: (answer) => answer[0] === "wrong",
    high: (answer) => answer[2] !== null && answer[2] >= 0.5,
    low: (answer) => answer[2] !== null && answer[2] < 0.5,
    trouble: (answer) => answer[6],
  };

  function fits(row, words) {
    if (group.value !== "" && Number(group.value) !== row[1]) return false;
    if (mark.value) {
      const chosen = arm.value === "" ? row[4] : [row[4][Number(arm.value)]];
      if (!chosen.some(tests[mark.value])) return false;
    }
    return words.every((word) => haystack(row).includes(word));
  }

  function show() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE)), first = page * PAGE;
    const shown = found.slice(first, first + PAGE);
    list.replaceChildren(...shown.map(caseCard));
    byId("case-status").textContent = shown.length
      ? "Cases " + number(first + 1) + " to " + number(first + shown.length) + " of " + number(found.length)
      : "No case fits. Clear the search or a filter.";
    document.querySelectorAll("[data-step]").forEach((button) => {
      const to = page + Number(button.dataset.step);
      button.disabled = to < 0 || to >= pages;
    });
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = data.cases.filter((row) => fits(row, words));
    page = 0;
    show();
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
    data.arms.forEach((name, i) => arm.append(option(i, name)));
    const marks = data.graded ? [["high", "50 points or more"], ["low", "below 50 points"]] : [["right", "right"], ["wrong", "wrong"]];
    [["", "any"], ...marks, ["trouble", "failed or cut off"]].forEach(([value, name]) => mark.append(option(value, name)));
  }

  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 150); });
  [group, arm, mark].forEach((control) => control.addEventListener("change", filter));
  byId("case-controls").addEventListener("submit", (event) => event.preventDefault());
  document.querySelectorAll("[data-step]").forEach((button, i) => button.addEventListener("click", () => {
    page += Number(button.dataset.step);
    show();
    if (i > 1) { list.scrollIntoView(); list.focus({ preventScroll: true }); }
  }));
  fill();
  note();
  byId("case-controls").hidden = false;
  document.querySelectorAll(".pager").forEach((pager) => { pager.hidden = false; });
  show();
})();
