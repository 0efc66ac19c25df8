/** What a person answers: host keys, passwords and codes, approvals; and the stop of a prompt. */

import { errorForState } from '../ipc.js'

/** @param {{call: Function, sam: object, notice: (text: string, kind?: string) => void}} options */
export function createAnswers({ call, sam, notice }) {
  const { present, state } = sam

  async function answer(questionId, said) {
    // Gone at once: a second click, before it is drawn, answers nothing.
    if (!state().questions.some(question => question.questionId === questionId)) return
    present({ type: 'QUESTION_CLOSED', questionId })
    try {
      await call('answer', { questionId, ...said })
    } catch (error) {
      notice(errorForState(error).message, 'error')
    }
  }

  return {
    /** @param {'accept'|'accept-once'|'reject'} decision */
    answerHostKey: (question, decision) => answer(question.questionId, { decision, fingerprint: question.fingerprint }),
    /** @param {string[]} answers in the order of the prompts */
    answerPrompt: (question, answers, remember) => answer(question.questionId, { answers, ...(remember ? { remember: true } : {}) }),
    cancelQuestion(question) {
      if (question.kind === 'host-key') return answer(question.questionId, { decision: 'reject', fingerprint: question.fingerprint })
      return answer(question.questionId, { cancelled: true })
    },

    /** @param {'allow'|'allow-always'|'deny'|'abort'} decision */
    async approve(callId, decision) {
      if (!state().approvals.some(approval => approval.callId === callId)) return
      present({ type: 'APPROVAL_CLOSED', callId })
      try {
        await call('approve-tool', { callId, decision })
      } catch (error) {
        notice(errorForState(error).message, 'error')
      }
    },

    /** Opens the vault, or makes the first one where nothing else keeps secrets. */
    async unlockVault(passphrase) {
      try {
        const { vault } = await call('vault-unlock', { passphrase })
        present({ type: 'DAEMON_CHANGED', daemon: { vault } })
        notice(vault.state === 'unlocked' ? 'Saved passwords and keys can be used, and new ones are kept.' : 'The vault is still locked.')
      } catch (error) {
        notice(errorForState(error).message, 'error')
      }
    },
    /** Puts the vault aside, which deletes nothing, and begins an empty one. */
    async resetVault() {
      try {
        const { vault: known } = await call('vault-status')
        const { vault } = await call('vault-reset', { confirm: known.vaultId })
        present({ type: 'DAEMON_CHANGED', daemon: { vault } })
        notice('The vault is empty now. The old one lies beside it.')
      } catch (error) {
        notice(errorForState(error).message, 'error')
      }
    },

    async stopPrompt(streamId) {
      present({ type: 'STREAM_STOPPING', streamId })
      try {
        await call('cancel', { requestId: streamId })
      } catch (error) {
        notice(errorForState(error).message, 'error')
      }
    }
  }
}
