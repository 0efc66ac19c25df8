'use strict'

/** What is said in Puffin's response pane, in words that mean nothing else to Puffin. */

/** Words by which Puffin opens its sign-in window for Claude. */
const SIGN_IN = /authentication_error|oauth token|token.*expired|failed to authenticate|not logged in|please run \/login/i
/** One of them is in each of those phrases. */
const THEIR_WORDS = /authentication_error|token|authenticate|logged|\/login/gi
/** Splits a word for a program, and not for a person. */
const WORD_JOINER = '\u2060'
/** Puffin looks for those words in answers shorter than this. */
const SHORT = 300
/** An answer of just these words makes Puffin give the session up. */
const DEAD_SESSION = 'Prompt is too long'

/** @returns {string} an answer that is never empty and has none of those meanings */
function forPuffin(content) {
  if (content.trim() === '') return '(The model said nothing.)'
  return content.length < SHORT ? disarm(content) : content
}

/** @returns {string} the same for a person's eyes */
function disarm(text) {
  const safe = SIGN_IN.test(text) ? text.replace(THEIR_WORDS, word => word[0] + WORD_JOINER + word.slice(1)) : text
  return safe.trim() === DEAD_SESSION ? `${safe}.` : safe
}

/** @returns {string} one failure, in sentences, with what to do */
function sentencesOf(error) {
  return [error.message, error.data?.hint].filter(Boolean).join(' ')
}

/** @returns {string} what a person should know of an answer that did not end by itself; else empty */
function noteOf({ stopReason }) {
  if (stopReason === 'max_tokens') return '\n\n*The answer was cut off: the model reached its limit of tokens.*'
  if (stopReason === 'limit') return '\n\n*The prompt was stopped: it reached its limit of rounds, tool calls or time.*'
  if (stopReason === 'refusal') return '\n\n*The server’s content filter ended the answer.*'
  return ''
}

/** @returns {string} a message's text, without thoughts and calls */
function textOf(message) {
  const content = message?.content ?? []
  if (typeof content === 'string') return content
  return content.filter(({ type }) => type === 'text').map(({ text }) => text).join('')
}

module.exports = { forPuffin, disarm, sentencesOf, noteOf, textOf }
