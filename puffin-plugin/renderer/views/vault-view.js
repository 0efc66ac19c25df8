/** Where saved passwords and keys are: what is wrong with that place, and what a person can do about it. */

import { vaultProblem } from '../state/vault.js'
import { button, h, setHidden, setText, uniqueId } from './dom.js'

export function createVaultView(actions) {
  const id = uniqueId('vault')
  const sentence = h('p', {})
  const input = h('input', { id, type: 'password', class: 'rllm-input', autocomplete: 'off' })
  const label = h('label', { for: id, class: 'rllm-label' })
  const submit = h('button', { type: 'submit', class: 'btn secondary small rllm-button' })
  const unlock = h('form', {
    class: 'rllm-field',
    on: {
      submit: event => {
        event.preventDefault()
        const passphrase = input.value
        input.value = ''
        if (passphrase !== '') actions.unlockVault(passphrase)
      }
    }
  }, label, h('div', { class: 'rllm-control' }, input, submit))
  const reset = button('Begin an empty one', () => confirm(true), { small: true })
  const yes = button('Put the saved secrets aside', () => {
    confirm(false)
    actions.resetVault()
  }, { small: true })
  const no = button('Keep them', () => confirm(false), { small: true })
  const sure = h('div', { class: 'rllm-actions', role: 'group', 'aria-label': 'Begin an empty vault?', hidden: true }, no, yes)
  const element = h('section', { class: 'rllm-note rllm-vault', 'aria-label': 'Saved passwords and keys', hidden: true }, sentence, unlock, reset, sure)
  let drawn = null
  let mayReset = false

  function confirm(open) {
    setHidden(sure, !open)
    setHidden(reset, open || !mayReset)
    if (open) no.focus()
  }

  return {
    element,
    update({ vault }) {
      if (drawn === vault) return
      drawn = vault
      const problem = vaultProblem(vault)
      setHidden(element, !problem)
      if (!problem) return
      element.classList.toggle('rllm-note--warning', problem.locked)
      setText(sentence, problem.sentence)
      setHidden(unlock, !problem.passphrase)
      setText(label, problem.locked ? 'Passphrase of the vault' : 'A passphrase for them (there is no way back without it)')
      setText(submit, problem.locked ? 'Unlock' : 'Keep them under this passphrase')
      mayReset = problem.reset
      confirm(false)
    }
  }
}
