// How many wrong labels are left, from the decisions so far. It needs nothing of the page: docs/audit.md has the formulas.

const FEWEST = 20; // decisions in order of rank, before anything is said
const Z = 1.96; // of the upper end of a 95 % interval

// The upper end of Wilson's interval of a share.
function upper(successes, trials) {
  const share = successes / trials;
  const spread = Z * Math.sqrt((share * (1 - share)) / trials + (Z / (2 * trials)) ** 2);
  return (share + Z ** 2 / (2 * trials) + spread) / (1 + Z ** 2 / trials);
}

/**
 * kinds: of each picture of the page, in order of rank: "keep", "change", "unsure", or "" without a decision.
 * samples: the number of labels in the whole ranking.
 *
 * The front is the part of the ranking that has been looked at: the first pictures, nine tenths of them decided. Behind
 * it the share of wrong labels is at most that of the last third of the front, because the ranking puts suspects first.
 */
function wrongLeft(kinds, samples) {
  const count = (part, kind) => part.filter((other) => other === kind).length;
  const share = (part) => (count(part, "change") + 0.5) / (part.length - count(part, "unsure") + 1);
  const highest = (part) => upper(count(part, "change") + count(part, "unsure"), part.length);
  let front = 0;
  for (let rank = 1, done = 0; rank <= kinds.length; rank++) {
    if (kinds[rank - 1] && ++done >= 0.9 * rank) front = rank;
  }
  const seen = kinds.slice(0, front).filter(Boolean);
  const unseen = samples - kinds.filter(Boolean).length;
  if (seen.length < FEWEST) return { unseen, seen: seen.length };

  const width = Math.max(7, Math.floor(seen.length / 3));
  const last = seen.slice(-width);
  const fall = Math.min(1, Math.sqrt(share(last) / share(seen.slice(0, -2 * width)))); // from one third to the next
  const ahead = (labels) => // the wrong ones among the next labels, if their share goes on falling like this
    share(last) * (fall > 0.999 ? labels : (Math.sqrt(fall) * width * (1 - fall ** (labels / width))) / -Math.log(fall));
  const skipped = front - seen.length;
  const behind = unseen - skipped;
  const likely = Math.min(unseen, Math.round(Math.min(behind, ahead(behind)) + skipped * share(seen)));
  const most = Math.min(unseen, Math.ceil(behind * highest(last) + skipped * highest(seen)));
  const next = Math.min(20, count(kinds.slice(front), ""));
  return {
    unseen, seen: seen.length, likely, most: Math.max(likely, most), next, nextWrong: Math.min(next, Math.round(ahead(next))),
    last: width, lastWrong: count(last, "change"), early: highest(last) > 0.5,
  };
}

// The answer in one or two sentences, and in a few words; number writes one.
function leftText(left, unsure, number) {
  const besides = unsure ? ` The ${number(unsure)} that you are unsure of ${unsure === 1 ? "is" : "are"} not counted.` : "";
  const ahead = left.next === 1 ? "picture" : `${number(left.next)} pictures`;
  const next = left.next ? ` The next ${ahead} will likely show you ${left.nextWrong ? number(left.nextWrong) : "none"}.` : "";
  if (!left.unseen) return [`You have looked at every picture.${besides}`, ""];
  if (left.seen < FEWEST) {
    return [`It is too early to tell: decide the first ${FEWEST} pictures in order of rank (${left.seen} so far).`, ""];
  }
  if (left.early) {
    return [`It is too early to tell how many wrong labels are left: ${left.lastWrong} of the last ${left.last} were wrong.${next}`, "too early to tell"];
  }
  const few = left.likely ? "About 1 wrong label is" : "No wrong labels are";
  return [
    `${left.likely > 1 ? `About ${number(left.likely)} wrong labels are` : few} likely left (95 % interval 0 to ${number(left.most)}) `
    + `${left.unseen === 1 ? "in the one picture" : `among the ${number(left.unseen)} pictures`} that you have not looked at.${next}${besides}`,
    `about ${number(left.likely)} left (0 to ${number(left.most)})`,
  ];
}

