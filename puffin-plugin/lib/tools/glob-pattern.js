/**
 * Glob patterns, matched in time that grows with pattern times path and no faster: no regular expression is
 * made of them. `*` and `?` stay within a name, `**` goes through folders, `[a-z]` and `{a,b}` are known.
 */
'use strict'

const { Fault } = require('./fault')

const MAX_PATTERN = 1024
const MAX_ALTERNATIVES = 64

/**
 * @param {string} pattern
 * @param {{caseless?: boolean}} [options]
 * @returns {(path: string) => boolean} for paths with `/`
 * @throws {Fault} `TOOL_INVALID_INPUT`
 */
function globMatcher(pattern, { caseless = false } = {}) {
  if (pattern.length > MAX_PATTERN) throw new Fault('TOOL_INVALID_INPUT', `The pattern is longer than ${MAX_PATTERN} characters.`)
  const fold = text => caseless ? text.toLowerCase() : text
  const alternatives = expandBraces(fold(pattern).replace(/^\.\//, ''))
    .map(one => one.split('/').filter((part, index) => part !== '' || index === 0))
    .map(parts => parts.map(part => part === '**' ? '**' : nameParts(part)))
  return path => {
    const names = fold(path).split('/')
    return alternatives.some(parts => fits(parts, names))
  }
}

/** The same two-pointer walk for names in a path as for characters in a name: only the last star moves on. */
function fits(parts, names) {
  return walk(parts, names, part => part === '**', (part, name) => walk(part, [...name], one => one === STAR, fitsOne))
}

function walk(wanted, given, isStar, fitsItem) {
  let at = 0
  let index = 0
  let star = -1
  let resume = 0
  while (index < given.length) {
    if (at < wanted.length && isStar(wanted[at])) {
      star = at++
      resume = index
    } else if (at < wanted.length && fitsItem(wanted[at], given[index])) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++resume
    } else {
      return false
    }
  }
  while (at < wanted.length && isStar(wanted[at])) at++
  return at === wanted.length
}

const STAR = Symbol('*')
const ANY = Symbol('?')

function fitsOne(part, character) {
  if (part === ANY) return true
  if (typeof part === 'string') return part === character
  return part.ranges.some(([from, to]) => from <= character && character <= to) !== part.negated
}

/** The parts of one name: characters, STAR, ANY and sets. */
function nameParts(name) {
  const parts = []
  const characters = [...name]
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index]
    const close = character === '[' ? characters.indexOf(']', index + 2) : -1
    if (character === '\\' && index + 1 < characters.length) parts.push(characters[++index])
    else if (character === '*') parts.at(-1) === STAR || parts.push(STAR)
    else if (character === '?') parts.push(ANY)
    else if (close > 0) {
      parts.push(characterSet(characters.slice(index + 1, close)))
      index = close
    } else parts.push(character)
  }
  return parts
}

function characterSet(characters) {
  const negated = characters[0] === '!' || characters[0] === '^'
  const rest = negated ? characters.slice(1) : characters
  const ranges = []
  for (let index = 0; index < rest.length; index++) {
    const isRange = rest[index + 1] === '-' && index + 2 < rest.length
    ranges.push([rest[index], isRange ? rest[index + 2] : rest[index]])
    if (isRange) index += 2
  }
  return { ranges, negated }
}

/** `a{b,c}d` as `abd`, `acd`; nested ones too. A brace without a comma is itself. */
function expandBraces(pattern) {
  const done = []
  const waiting = [pattern]
  while (waiting.length > 0) {
    const one = waiting.pop()
    const group = firstGroup(one)
    if (!group) done.push(one)
    else for (const choice of group.choices) waiting.push(one.slice(0, group.start) + choice + one.slice(group.end + 1))
    if (done.length + waiting.length > MAX_ALTERNATIVES) {
      throw new Fault('TOOL_INVALID_INPUT', `The pattern has more than ${MAX_ALTERNATIVES} alternatives in braces.`)
    }
  }
  return done
}

function firstGroup(pattern) {
  for (let start = pattern.indexOf('{'); start !== -1; start = pattern.indexOf('{', start + 1)) {
    let depth = 0
    const choices = ['']
    for (let index = start; index < pattern.length; index++) {
      const character = pattern[index]
      if (character === '{' && depth++ === 0) continue
      if (character === '}' && --depth === 0) {
        if (choices.length > 1) return { start, end: index, choices }
        break
      }
      if (character === ',' && depth === 1) choices.push('')
      else choices[choices.length - 1] += character
    }
  }
  return undefined
}

module.exports = { globMatcher }
