/** What of a text fits an expression, and how it is shown. */
'use strict'

const MAX_LINE = 500
const MAX_MATCHES = 10_000 // in one file
const MAX_LINES = 1000 // of one match

/**
 * @param {string} text
 * @param {RegExp} expression  with the flag g
 * @param {{multiline?: boolean, output_mode?: string}} input
 * @returns {Array<{from: number, to: number}>} lines, from 0, in order; `to` included
 */
function matchesIn(text, expression, { multiline, output_mode: mode = 'files_with_matches' }) {
  const most = mode === 'files_with_matches' ? 1 : MAX_MATCHES
  return multiline ? acrossLines(text, expression, most) : lineByLine(text, expression, most)
}

function lineByLine(text, expression, most) {
  const found = []
  for (let start = 0, number = 0; start < text.length && found.length < most; number++) {
    const next = text.indexOf('\n', start)
    const end = next === -1 ? text.length : next
    expression.lastIndex = 0
    if (expression.test(text.slice(start, text[end - 1] === '\r' ? end - 1 : end))) found.push({ from: number, to: number })
    start = end + 1
  }
  return found
}

function acrossLines(text, expression, most) {
  const found = []
  let line = 0
  let position = 0
  const lineAt = target => {
    for (let next = text.indexOf('\n', position); next !== -1 && next < target; next = text.indexOf('\n', position)) {
      line++
      position = next + 1
    }
    return line
  }
  for (const match of text.matchAll(expression)) {
    if (found.length >= most) break
    const from = lineAt(match.index)
    found.push({ from, to: Math.min(from + MAX_LINES, lineAt(match.index + Math.max(match[0].length - 1, 0))) })
  }
  return found
}

/**
 * @param {string} name  the file
 * @param {string} text
 * @param {Array<{from: number, to: number}>} matches
 * @param {object} input  of Grep
 * @returns {Iterable<string>} lines to show; none without a match
 */
function * render(name, text, matches, input) {
  if (matches.length === 0) return
  const mode = input.output_mode ?? 'files_with_matches'
  if (mode === 'files_with_matches') yield name
  else if (mode === 'count') yield `${name}:${matches.length}`
  else yield * content(name, text.split('\n'), matches, input)
}

function * content(name, lines, matches, input) {
  const before = input['-B'] ?? input['-C'] ?? 0
  const after = input['-A'] ?? input['-C'] ?? 0
  const last = lines.length - (lines.at(-1) === '' ? 2 : 1)
  const hits = new Set(matches.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index)))
  let shown = -1
  for (const { from, to } of matches) {
    const start = Math.max(shown + 1, from - before)
    if (shown >= 0 && start > shown + 1 && (before > 0 || after > 0)) yield '--'
    for (let number = start; number <= Math.min(last, to + after); number++) {
      const mark = hits.has(number) ? ':' : '-'
      yield `${name}${mark}${input['-n'] === false ? '' : `${number + 1}${mark}`}${cut(lines[number].replace(/\r$/, ''))}`
      shown = number
    }
  }
}

function cut(line) {
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}… [line cut]` : line
}

module.exports = { matchesIn, render }
