/**
 * What a shell command says, as far as that can be known without running it. Only commands of plain words
 * are understood; whatever could mean something else when it runs makes the command opaque, and then no
 * pattern allows it.
 */
'use strict'

// Words that begin something other than a command, or change what the next ones mean.
const KEYWORDS = new Set([
  'if', 'then', 'else', 'elif', 'fi', 'for', 'while', 'until', 'do', 'done', 'case', 'esac', 'select', 'function', 'time',
  'coproc', 'in', '!', '[[', ']]', 'eval', 'source', '.', 'exec', 'builtin', 'command', 'alias', 'trap', 'enable'
])
// $ ` ( ) { } < >: substitution, grouping, redirection. * ? [ ]: become file names. ~: becomes a path.
// # begins a comment, ! may recall, = may set a variable for the command.
const UNCLEAR_BARE = /[$`(){}<>*?[\]~#!]/
const UNCLEAR_QUOTED = /[$`\\!]/
const INVISIBLE = /(?![\n\t])[\p{Cc}\p{Cf}\u2028\u2029]/u

/**
 * @param {string} command
 * @returns {{commands: string[][], opaque: false} | {opaque: true}} the words of each command of a list or
 *   pipeline; what joins them (`;`, `&&`, `||`, `|`, `&`, a line end) is left out
 */
function parse(command) {
  if (INVISIBLE.test(command)) return { opaque: true }
  const commands = []
  let words = []
  let word
  const endWord = () => {
    if (word !== undefined) words.push(word)
    word = undefined
  }
  const endCommand = () => {
    endWord()
    if (words.length > 0) commands.push(words)
    words = []
  }
  for (let index = 0; index < command.length; index++) {
    const character = command[index]
    if (character === ' ' || character === '\t') {
      endWord()
    } else if (character === '\n' || character === ';' || character === '&' || character === '|') {
      endCommand()
    } else if (character === '\'') {
      const end = command.indexOf('\'', index + 1)
      if (end === -1) return { opaque: true }
      word = (word ?? '') + command.slice(index + 1, end)
      index = end
    } else if (character === '"') {
      const end = command.indexOf('"', index + 1)
      if (end === -1 || UNCLEAR_QUOTED.test(command.slice(index + 1, end))) return { opaque: true }
      word = (word ?? '') + command.slice(index + 1, end)
      index = end
    } else if (character === '\\') {
      index++
      if (index >= command.length || command[index] === '\n') return { opaque: true }
      word = (word ?? '') + command[index]
    } else if (UNCLEAR_BARE.test(character)) {
      return { opaque: true }
    } else {
      word = (word ?? '') + character
    }
  }
  endCommand()
  const unclear = commands.some(([first]) => first.includes('=') || KEYWORDS.has(first))
  return commands.length === 0 || unclear ? { opaque: true } : { commands, opaque: false }
}

/**
 * Whether words fit a pattern: its words are literal, and a `*` as the last one stands for any further
 * words (none included).
 *
 * @param {string} pattern  `npm run *`
 * @param {string[]} words
 */
function wordsFit(pattern, words) {
  const wanted = pattern.trim().split(/\s+/)
  const open = wanted.at(-1) === '*'
  if (open) wanted.pop()
  return wanted.length > 0 && (open ? words.length >= wanted.length : words.length === wanted.length) &&
    wanted.every((one, index) => one === words[index])
}

/** Whether a pattern allows a command: it is clear, and every part of it fits one of the patterns. */
function allows(patterns, command) {
  const parsed = parse(command)
  return !parsed.opaque && parsed.commands.every(words => patterns.some(pattern => wordsFit(pattern, words)))
}

/**
 * Whether a pattern forbids a command: a part of it fits, or the command is opaque and names the pattern's
 * program anywhere. This keeps honest models from mistakes; what must never happen is kept off by asking.
 */
function forbids(pattern, command) {
  const program = pattern.trim().split(/\s+/)[0]
  const parsed = parse(command)
  if (parsed.opaque) return program === '*' || command.split(/[^\p{L}\p{N}_.+-]+/u).includes(program)
  return program === '*' || parsed.commands.some(words => wordsFit(pattern, [words[0].split('/').at(-1), ...words.slice(1)]) || wordsFit(pattern, words))
}

module.exports = { allows, forbids, parse }
