'use strict'

/** How a conversation ends, and what can be done about an answer that is not whole. */

const blocksOf = message => (Array.isArray(message?.content) ? message.content : [])
const holds = (message, type) => blocksOf(message).some(block => block.type === type)

/**
 * The daemon's own rule says which answer it can go on with; this one says it beforehand, so that no
 * button is offered that would be refused.
 *
 * @param {object[]} tail the conversation's last two messages, or fewer
 * @param {import('./unsaved').Unsaved} [unsaved] what comes after them
 * @returns {{state: 'whole'|'interrupted', canContinue: boolean, canRetry: boolean, usedTools: boolean, error: object|null}}
 */
function endingOf(tail, unsaved) {
  if (unsaved) return { state: 'interrupted', canContinue: unsaved.text.trim() !== '', canRetry: true, usedTools: unsaved.usedTools, error: unsaved.error }
  const last = tail.at(-1)
  const before = tail.at(-2)
  // Results that the model has said nothing to: it was stopped while a tool ran, or at a limit.
  const unanswered = last !== undefined && last.role !== 'assistant'
  if (!last || (!last.partial && !unanswered)) return { state: 'whole', canContinue: false, canRetry: false, usedTools: false, error: null }
  const usedTools = unanswered ? holds(last, 'tool_result') : holds(before, 'tool_result')
  const end = blocksOf(last).at(-1)
  const saysSomething = end?.type === 'text' && end.text.trim() !== ''
  return { state: 'interrupted', canContinue: !unanswered && !usedTools && saysSomething, canRetry: true, usedTools, error: null }
}

module.exports = { endingOf }
