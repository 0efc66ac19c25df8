/**
 * A unified diff for the person who is asked. It never shows less than there is without saying so. Its cost
 * grows with what changed, not with the file.
 */
'use strict'

const { visible } = require('./output')

const CONTEXT = 3
const MAX_EDITS = 800 // beyond that the middle is shown as replaced whole
const MAX_COMPARED = 512 * 1024 // characters of both middles together
const MAX_CHARACTERS = 64 * 1024
const MAX_LINE = 500

/**
 * @param {string} name  the file
 * @param {string} before  '' for a new file
 * @param {string} after
 * @returns {string} with a line for each line; control characters are written out. '' when nothing changes
 */
function unifiedDiff(name, before, after) {
  if (before === after) return ''
  const shown = visible(name).replace(/[\n\t]/g, ' ')
  const head = `--- ${before === '' ? '/dev/null' : `a/${shown}`}\n+++ b/${shown}\n`
  const { start, oldEnd, newEnd } = middle(before, after)
  const [from, to] = [before.slice(start, oldEnd), after.slice(start, newEnd)]
  const line = countLines(before.slice(0, start)) + 1
  if (from.length + to.length <= MAX_COMPARED) {
    const body = hunks(shortestEdit(toLines(from), toLines(to)), line).join('')
    if (body.length <= MAX_CHARACTERS) return head + body
  }
  const part = MAX_CHARACTERS / 2
  const lines = [['-', from], ['+', to]].flatMap(([sign, text]) => toLines(text.slice(0, part)).map(one => show(sign, one)))
  const rest = from.length > part || to.length > part
    ? `[this is not all: from here ${countLines(from)} lines become ${countLines(to)}]\n` : ''
  return `${head}@@ -${line},${countLines(from)} +${line},${countLines(to)} @@\n${lines.join('')}${rest}`
}

/** Where the texts differ, in whole lines, with some equal ones around. */
function middle(before, after) {
  const most = Math.min(before.length, after.length)
  let same = 0
  while (same < most && before.charCodeAt(same) === after.charCodeAt(same)) same++
  let start = before.lastIndexOf('\n', same - 1) + 1
  if (same === 0) start = 0
  for (let lines = 0; lines < CONTEXT && start > 0; lines++) start = start < 2 ? 0 : before.lastIndexOf('\n', start - 2) + 1
  let tail = 0
  while (tail < most - same && before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)) tail++
  const end = text => {
    // The line in which the equal end begins is different, unless it begins right after a line end.
    let at = text.length - tail
    for (let lines = 0; lines <= CONTEXT; lines++) {
      const next = text.indexOf('\n', at)
      if (next === -1) return text.length
      at = next + 1
    }
    return at
  }
  return { start, oldEnd: end(before), newEnd: end(after) }
}

function countLines(text) {
  let count = text === '' || text.endsWith('\n') ? 0 : 1
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count++
  return count
}

/** Lines with what ends them, so that a missing last line end and CR are seen. */
function toLines(text) {
  return text === '' ? [] : text.split(/(?<=\n)/)
}

/**
 * Myers' greedy algorithm; when the texts have too little in common, all of one for all of the other.
 *
 * @returns {Array<[' ' | '-' | '+', string]>} every line of both, in order
 */
function shortestEdit(before, after) {
  const most = Math.min(before.length + after.length, MAX_EDITS)
  let furthest = new Map([[1, 0]])
  const history = []
  for (let edits = 0; edits <= most; edits++) {
    const reached = new Map()
    history.push(furthest)
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const down = diagonal === -edits || (diagonal !== edits && (furthest.get(diagonal - 1) ?? -1) < (furthest.get(diagonal + 1) ?? -1))
      let x = down ? furthest.get(diagonal + 1) : furthest.get(diagonal - 1) + 1
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x++
      reached.set(diagonal, x)
      if (x >= before.length && x - diagonal >= after.length) return trace(history, before, after)
    }
    furthest = reached
  }
  return [...before.map(line => ['-', line]), ...after.map(line => ['+', line])]
}

function trace(history, before, after) {
  const changes = []
  let x = before.length
  let y = after.length
  for (let edits = history.length - 1; edits >= 0; edits--) {
    const furthest = history[edits]
    const diagonal = x - y
    const down = diagonal === -edits || (diagonal !== edits && (furthest.get(diagonal - 1) ?? -1) < (furthest.get(diagonal + 1) ?? -1))
    const previous = down ? diagonal + 1 : diagonal - 1
    const fromX = edits === 0 ? 0 : furthest.get(previous)
    const fromY = edits === 0 ? 0 : fromX - previous
    while (x > fromX && y > fromY && x > 0 && y > 0 && before[x - 1] === after[y - 1]) {
      changes.push([' ', before[--x]])
      y--
    }
    if (edits === 0) break
    if (down) changes.push(['+', after[--y]])
    else changes.push(['-', before[--x]])
  }
  return changes.reverse()
}

/** Changed lines with their surroundings; `line` is the number of the first. */
function hunks(changes, line) {
  const near = new Uint8Array(changes.length)
  changes.forEach(([sign], index) => {
    if (sign !== ' ') near.fill(1, Math.max(0, index - CONTEXT), index + CONTEXT + 1)
  })
  const texts = []
  let oldLine = line
  let newLine = line
  for (let index = 0; index < changes.length;) {
    if (!near[index]) {
      oldLine++
      newLine++
      index++
      continue
    }
    const lines = []
    const [oldStart, newStart] = [oldLine, newLine]
    for (; index < changes.length && near[index]; index++) {
      const [sign, line] = changes[index]
      lines.push(show(sign, line))
      if (sign !== '+') oldLine++
      if (sign !== '-') newLine++
    }
    const [oldCount, newCount] = [oldLine - oldStart, newLine - newStart]
    texts.push(`@@ -${oldCount ? oldStart : oldStart - 1},${oldCount} +${newCount ? newStart : newStart - 1},${newCount} @@\n${lines.join('')}`)
  }
  return texts
}

function show(sign, line) {
  const ended = line.endsWith('\n')
  const text = visible(ended ? line.slice(0, -1) : line)
  const cut = text.length > MAX_LINE ? `${text.slice(0, MAX_LINE)}[… ${text.length - MAX_LINE} more characters]` : text
  return `${sign}${cut}\n${ended ? '' : '\\ No newline at end of file\n'}`
}

module.exports = { unifiedDiff }
