'use strict'

/**
 * The person's own words in a prompt that Puffin has put its knowledge of the project around: kept apart
 * as a text block of their own, so that a history can show them. To the model it is the same text.
 */

/** The daemon puts neighbouring text blocks together with this. */
const SEAM = '\n'

/** @returns {string|object[]} a message's content; blocks only where something stands before the words */
function apart(text, words) {
  const at = typeof words === 'string' && words.trim() !== '' ? text.lastIndexOf(words) : -1
  const before = text.slice(0, Math.max(at, 0))
  const after = text.slice(at + words?.length)
  if (at <= 0 || before.trim() === '' || !before.endsWith(SEAM) || (after !== '' && !after.startsWith(SEAM))) return text
  return [before.slice(0, -SEAM.length), words, ...(after.trim() === '' ? [] : [after.slice(SEAM.length)])].map(piece => ({ type: 'text', text: piece }))
}

/** @returns {string} what the person said, of a message's content in any form */
function wordsOf(content) {
  if (typeof content === 'string') return content
  const texts = (content ?? []).filter(({ type }) => type === 'text').map(({ text }) => text)
  return texts[1] ?? texts[0] ?? ''
}

/** @returns {string} their beginning, on one line */
function titleOf(content) {
  const line = wordsOf(content).replace(/\s+/g, ' ').trim()
  return line.length > 100 ? `${line.slice(0, 99)}…` : line
}

module.exports = { apart, wordsOf, titleOf }
