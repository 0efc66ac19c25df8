/**
 * A unified diff for the person who is asked. It never shows less than there is without saying so.
 */
'use strict'

const { visible } = require('./output')

const CONTEXT = 3
const MAX_EDITS = 800 // beyond that the middle is shown as replaced whole
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
  const changes = lineChanges(toLines(before), toLines(after))
  const shown = visible(name).replace(/[\n\t]/g, ' ')
  const head = `--- ${before === '' ? '/dev/null' : `a/${shown}`}\n+++ b/${shown}\n`
  const body = hunks(changes).join('')
  if (body.length <= MAX_CHARACTERS) return head + body
  const added = changes.filter(([sign]) => sign === '+').length
  const removed = changes.filter(([sign]) => sign === '-').length
  return `${head}${body.slice(0, MAX_CHARACTERS)}\n[this is not all: the change has ${added} added and ${removed} removed lines]\n`
}

/** Lines with what ends them, so that a missing last line end and CR are seen. */
function toLines(text) {
  const lines = text.split(/(?<=\n)/)
  return text === '' ? [] : lines
}

/** @returns {Array<[' ' | '-' | '+', string]>} every line of both texts, in order */
function lineChanges(before, after) {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end++
  return [
    ...before.slice(0, start).map(line => [' ', line]),
    ...shortestEdit(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(line => [' ', line])
  ]
}

/** Myers' greedy algorithm; when the texts have too little in common, all of one for all of the other. */
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

/** Changed lines with their surroundings. */
function hunks(changes) {
  const near = new Uint8Array(changes.length)
  changes.forEach(([sign], index) => {
    if (sign !== ' ') near.fill(1, Math.max(0, index - CONTEXT), index + CONTEXT + 1)
  })
  const texts = []
  let oldLine = 1
  let newLine = 1
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
