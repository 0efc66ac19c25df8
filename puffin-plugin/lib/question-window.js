'use strict'

const crypto = require('node:crypto')
const { visible } = require('./tools/output')
const { RemoteError } = require('./errors')

/** What a person can take in; a model may send more. */
const LONGEST = 2000
const ALLOW = 'Allow once'

const text = maxLength => ({ type: 'string', minLength: 1, maxLength })

/** Claude's tool of this name, which Puffin knows. */
const ASK_USER = {
  name: 'AskUserQuestion',
  description: 'Asks the user up to four questions with answers to choose from, and waits. Use it when you cannot decide something yourself; the user can also write an answer of their own. Put the answer that you recommend first.',
  readOnly: false,
  input_schema: {
    type: 'object',
    properties: {
      questions: {
        type: 'array',
        minItems: 1,
        maxItems: 4,
        items: {
          type: 'object',
          properties: {
            question: { ...text(LONGEST), description: 'the whole question' },
            header: { ...text(40), description: 'one or two words' },
            multiSelect: { type: 'boolean', description: 'several answers may be chosen' },
            options: {
              type: 'array',
              minItems: 2,
              maxItems: 6,
              items: { type: 'object', properties: { label: text(200), description: text(500) }, required: ['label'] }
            }
          },
          required: ['question', 'options']
        }
      }
    },
    required: ['questions']
  }
}

/**
 * Puffin's question window. It is opened by the `onQuestion` of a prompt, and what a person chose comes
 * back by `sendAnswer`, as text and by the number of the question.
 */
function createQuestionWindow() {
  const open = new Map()

  /** @returns {Promise<object>} answers by number; rejects when `signal` aborts */
  function ask(onQuestion, questions, signal) {
    return new Promise((resolve, reject) => {
      const toolUseId = crypto.randomUUID()
      const finish = (settle, value) => {
        open.delete(toolUseId)
        signal?.removeEventListener('abort', withdraw)
        settle(value)
      }
      const withdraw = () => finish(reject, new RemoteError('CANCELLED', 'The question was taken back.'))
      if (signal?.aborted) return withdraw()
      signal?.addEventListener('abort', withdraw, { once: true })
      open.set(toolUseId, answers => finish(resolve, answers ?? {}))
      onQuestion({ toolUseId, questions })
    })
  }

  return {
    /** @returns {boolean} whether such a question of ours was open */
    answer(toolUseId, answers) {
      const settle = open.get(toolUseId)
      settle?.(answers)
      return settle !== undefined
    },

    /** The tool, for a prompt with this `onQuestion`. */
    tool: onQuestion => ({
      definition: ASK_USER,
      async execute({ input, signal }) {
        const questions = input.questions.map(({ question, header, options, multiSelect }) => ({
          header: visible(header ?? 'Question'),
          question: visible(question),
          multiSelect: multiSelect === true,
          options: options.map(({ label, description }) => ({ label: visible(label), description: visible(description ?? '') }))
        }))
        const answers = await ask(onQuestion, questions, signal)
        return { content: questions.map(({ question }, n) => `${question}\n${String(answers[n] ?? 'No answer.')}`).join('\n\n'), isError: false }
      }
    }),

    /**
     * An approval where no panel is there to show it. Puffin preselects the first choice, so that is "no",
     * and whatever is not the word for "yes" is "no", too. One that nobody could read here waits for a panel.
     *
     * @returns {(approval: object, signal: AbortSignal) => Promise<'allow'|'deny'>}
     */
    approver: onQuestion => async ({ name, summary, command, diff, input }, signal) => {
      const what = command ?? diff ?? (typeof input === 'string' ? input : JSON.stringify(input ?? ''))
      if (what.length > LONGEST) return new Promise(() => {})
      const question = { header: visible(name), question: `${visible(summary)}\n${visible(what)}`, multiSelect: false }
      const options = [{ label: 'Deny', description: 'Nothing is done, and the model is told so.' }, { label: ALLOW, description: 'It is done now; the next time you are asked again.' }]
      const answers = await ask(onQuestion, [{ ...question, options }], signal)
      return answers[0] === ALLOW ? 'allow' : 'deny'
    }
  }
}

module.exports = { createQuestionWindow }
