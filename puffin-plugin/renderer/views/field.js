/** One field of the form: label, control, hint, what is wrong with it. */

import { button, h, setAttribute, setHidden, setText, uniqueId } from './dom.js'

/**
 * @param {object} field of `state/fields.js`
 * @param {(value: string|boolean) => void} onChange
 * @param {{listId?: string}} [options] a datalist with suggestions
 */
export function createField(field, onChange, { listId } = {}) {
  const id = uniqueId('field')
  const hintId = `${id}-hint`
  const problemId = `${id}-problem`
  const control = createControl(field, id, onChange, listId)
  const hint = h('p', { id: hintId, class: 'rllm-hint' }, field.hint ?? '')
  const problem = h('p', { id: problemId, class: 'rllm-problem', hidden: true })
  const unit = field.unit ? h('span', { class: 'rllm-unit', 'aria-hidden': 'true' }, field.unit) : null
  const label = h('label', { for: id, class: 'rllm-label' }, field.label, field.unit ? h('span', { class: 'rllm-visually-hidden' }, ` in ${UNITS[field.unit]}`) : null)
  const element = field.kind === 'check'
    ? h('div', { class: 'rllm-field rllm-field--check' }, control, label, problem)
    : h('div', { class: 'rllm-field' }, label, h('div', { class: 'rllm-control' }, control, unit), hint, problem)
  hint.hidden = !field.hint
  setAttribute(control, 'aria-required', field.required)

  return {
    element,
    control,
    /** @param {{value: string|boolean, problem?: string, hidden?: boolean, hint?: string}} shown */
    update({ value, problem: sentence, hidden = false, hint: shownHint = field.hint }) {
      setHidden(element, hidden)
      if (hidden) return
      if (field.kind === 'check') control.checked = value === true
      else if (control.value !== value) control.value = value ?? ''
      // What only the profile can say is not chosen here.
      if (field.kind === 'source') control.querySelector('[value=command]').disabled = value !== 'command'
      setText(hint, shownHint ?? '')
      setHidden(hint, !shownHint)
      setText(problem, sentence ?? '')
      setHidden(problem, !sentence)
      setAttribute(control, 'aria-invalid', sentence ? 'true' : null)
      setAttribute(control, 'aria-describedby', [shownHint && hintId, sentence && problemId].filter(Boolean).join(' ') || null)
    }
  }
}

const UNITS = { s: 'seconds', min: 'minutes', tokens: 'tokens' }

function createControl(field, id, onChange, listId) {
  const common = { id, class: 'rllm-input', spellcheck: 'false', autocomplete: 'off' }
  const onText = { input: event => onChange(event.target.value) }
  switch (field.kind) {
    case 'check':
      return h('input', { id, type: 'checkbox', class: 'rllm-check', on: { change: event => onChange(event.target.checked) } })
    case 'select':
    case 'source':
      return h('select', { ...common, on: { change: event => onChange(event.target.value) } }, field.options.map(([value, text]) => h('option', { value }, text)))
    case 'lines':
      return h('textarea', { ...common, rows: 3, on: onText })
    default:
      return h('input', {
        ...common,
        type: 'text',
        inputmode: ['number', 'seconds', 'minutes'].includes(field.kind) ? 'decimal' : null,
        placeholder: field.placeholder,
        list: listId,
        on: onText
      })
  }
}

/**
 * A secret is written and never read: a saved one is a sentence with Replace and Forget.
 * @param {object} field of kind 'secret'
 * @param {{onText: (text: string) => void, onFate: (fate: string) => void}} listeners
 */
export function createSecretField(field, { onText, onFate }) {
  const id = uniqueId('secret')
  const input = h(field.lines ? 'textarea' : 'input', { id, type: field.lines ? null : 'password', class: field.lines ? 'rllm-input rllm-masked' : 'rllm-input', autocomplete: 'off', spellcheck: 'false', placeholder: field.lines ? 'one a line, Name: value' : field.placeholder ?? 'asked when needed', on: { input: event => onText(event.target.value) } })
  const replace = button('Replace', () => onFate('replace'), { small: true, 'aria-label': `Replace: ${field.label}` })
  const forget = button('Forget', () => onFate('forget'), { small: true, 'aria-label': `Forget: ${field.label}` })
  const keep = button('Keep the saved one', () => onFate('saved'), { small: true, 'aria-label': `Keep the saved one: ${field.label}` })
  const sentence = h('span', { class: 'rllm-saved' })
  const label = h('label', { for: id, class: 'rllm-label' }, field.label)
  const element = h('div', { class: 'rllm-field' }, label, h('div', { class: 'rllm-control' }, input, sentence, replace, forget, keep))

  return {
    element,
    control: input,
    /** @param {{fate: string, saved: boolean, typed: string, hidden?: boolean, names?: string[]}} shown */
    update({ fate, saved, typed, hidden = false, names }) {
      const writing = fate === 'none' || fate === 'replace'
      // What was saved is in no field any more, seen or not.
      const text = writing ? typed : ''
      if (input.value !== text) input.value = text
      setHidden(element, hidden)
      if (hidden) return
      setHidden(input, !writing)
      setHidden(sentence, writing)
      const list = Array.isArray(names) && names.length > 0 ? `: ${names.join(', ')}` : ''
      setText(sentence, fate === 'forget' ? 'Forgotten when you save' : `${field.saved}${list}`)
      setHidden(replace, fate !== 'saved')
      setHidden(forget, fate !== 'saved')
      setHidden(keep, !saved || fate === 'saved')
    }
  }
}
