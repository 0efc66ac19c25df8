'use strict'

const MOST = 20

/**
 * What the daemon has not kept of prompts that were interrupted: those before whose first word something
 * failed, and those during which it was gone itself. The newest of each conversation, until Puffin ends.
 *
 * @typedef {object} Unsaved
 * @property {string} conversationId
 * @property {string} configId
 * @property {string|null} model
 * @property {object[]} asked the prompt's messages
 * @property {string} text what the model had said
 * @property {boolean} usedTools whether it had called one
 * @property {object|null} error as a page is told; null: a person stopped it
 * @property {string} at when it ended, RFC 3339
 */
function createUnsaved() {
  /** @type {Map<string, Unsaved>} */
  const kept = new Map()
  return {
    get: conversationId => kept.get(conversationId),
    /** @returns {Unsaved[]} the newest first */
    all: () => [...kept.values()].reverse(),
    /** @returns {boolean} whether there was one */
    forget: conversationId => kept.delete(conversationId),
    keep(unsaved) {
      kept.delete(unsaved.conversationId)
      kept.set(unsaved.conversationId, unsaved)
      if (kept.size > MOST) kept.delete(kept.keys().next().value)
    }
  }
}

module.exports = { createUnsaved }
