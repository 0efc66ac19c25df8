/** The form of a server: paste, three fields, how to sign in, and "More" for the rest. */

import { problemsOf } from '../state/draft.js'
import { LLM_BASIC, LLM_MORE, SSH_AUTH, SSH_BASIC, SSH_MORE, usedWith } from '../state/fields.js'
import { button, h, setAttribute, setHidden, setText, uniqueId } from './dom.js'
import { createField, createSecretField } from './field.js'
import { createFound } from './found.js'
import { createJumpHosts } from './jump-hosts.js'
import { createModelSettings } from './model-settings.js'
import { createPaste } from './paste.js'

export function createServerForm(actions, secrets) {
  let key = null
  const keyFilesId = uniqueId('key-files')
  const endpointsId = uniqueId('endpoints')
  const modelsId = uniqueId('models')
  const lists = { keyFiles: keyFilesId, endpoints: endpointsId, models: modelsId }
  const keyFiles = h('datalist', { id: keyFilesId })
  const endpoints = h('datalist', { id: endpointsId })
  const modelIds = h('datalist', { id: modelsId })

  const fieldOf = section => field => {
    if (field.kind === 'secret') {
      const path = `${section}.${field.path}`
      const view = createSecretField(field, {
        onText: text => actions.changeSecret(key, path, text),
        onFate: fate => actions.decideSecret(key, path, fate)
      })
      return { field, section, ...view }
    }
    return { field, section, ...createField(field, value => actions.changeField(key, section, field.path, value), { listId: lists[field.suggestions] }) }
  }

  const paste = createPaste(actions, () => key)
  const basic = [...SSH_BASIC.map(fieldOf('ssh')), ...LLM_BASIC.map(fieldOf('llm'))]
  const auth = SSH_AUTH.map(fieldOf('ssh'))
  const sshMore = SSH_MORE.map(fieldOf('ssh'))
  const llmMore = LLM_MORE.map(fieldOf('llm'))
  const name = createField({ label: 'Name', kind: 'text', placeholder: 'the host' }, value => actions.changeField(key, 'name', null, value))
  const found = createFound()
  const jumpHosts = createJumpHosts(actions, secrets, () => key, lists)
  const models = createModelSettings(actions, () => key, lists)
  const more = h('details', { class: 'rllm-more', on: { toggle: () => key !== null && actions.toggleMore(key, more.open) } },
    h('summary', {}, 'More'),
    jumpHosts.element,
    group('SSH', sshMore),
    group('LLM server', llmMore),
    models.element,
    group('This server in the list', [name]))

  let acted = false
  const act = action => () => {
    acted = true
    action(key)
  }
  const test = button('Test', act(actions.test))
  const save = button('Save', act(actions.save))
  const connect = button('Connect', act(actions.connect), { kind: 'primary' })
  const discard = button('Discard changes', () => actions.discard(key), { kind: 'outline' })
  const busyText = h('span', { class: 'rllm-busy', role: 'status' })
  const warnings = h('ul', { class: 'rllm-plain-list', 'aria-label': 'Warnings' })
  const outdated = h('p', { class: 'rllm-note rllm-note--warning' }, 'The saved server was changed meanwhile. Saving writes what stands here over it.')
  const whose = basic.at(-1)

  const element = h('form', { class: 'rllm-form', 'aria-label': 'Server', novalidate: true, on: { submit: event => event.preventDefault() } },
    paste.element,
    h('div', { class: 'rllm-grid rllm-grid--basic' }, basic.map(view => view.element)),
    found.element,
    h('div', { class: 'rllm-grid' }, auth.map(view => view.element)),
    more, outdated, warnings,
    h('div', { class: 'rllm-actions' }, test, save, connect, discard, busyText),
    keyFiles, endpoints, modelIds)

  let drawn = {}

  function update(state) {
    key = state.selected
    const draft = state.drafts[key]
    if (!draft) return
    const { found: onMachine, presets, busy } = state
    const tested = state.tests[key]
    const listed = state.modelLists[key]?.models ?? NONE
    if (drawn.draft === draft && drawn.busy === busy[key] && drawn.found === onMachine && drawn.presets === presets && drawn.tested === tested && drawn.listed === listed) return
    if (drawn.found !== onMachine) suggest(keyFiles, onMachine.keyFiles.map(file => [file.path, file.type ?? '']))
    if (drawn.presets !== presets) suggest(endpoints, presets.map(preset => [preset.llm.apiEndpoint, preset.name]))
    if (drawn.listed !== listed) suggest(modelIds, listed.map(({ id, name }) => [id, name]))
    drawn = { draft, busy: busy[key], found: onMachine, presets, tested, listed }

    const problems = { ...draft.refused, ...(draft.dirty || draft.checked ? problemsOf(draft) : {}) }
    const show = ({ field, section, update: updateField }) => {
      const path = `${section}.${field.path}`
      const hidden = !usedWith(field, section === 'ssh' ? draft.ssh : {})
      if (field.kind === 'secret') updateField({ fate: draft.secrets[path], saved: savedIn(draft, field), typed: secrets.get(key, path) ?? '', hidden, names: draft.base?.llm?.[field.flag] })
      else updateField({ value: draft[section][field.path], problem: problems[path], hidden })
    }
    for (const view of [...basic, ...auth, ...sshMore, ...llmMore]) show(view)
    const host = draft.ssh.host.trim() || 'that machine'
    whose.update({ value: draft.llm.apiEndpoint, problem: problems['llm.apiEndpoint'], hint: `localhost here means ${host}, not this computer. Empty: a test looks for one; saved, it is 127.0.0.1:11434 (Ollama).` })
    name.update({ value: draft.name })
    jumpHosts.update(draft, problems)
    models.update(draft, problems)
    paste.update(state, draft)
    found.update(onMachine, draft, tested)

    if (more.open !== draft.more) more.open = draft.more
    const doing = busy[key]
    // After a press of a button, a person is where something is to be put right.
    if (acted && !doing) {
      acted = false
      if (Object.keys(problems).length > 0) element.querySelector('[aria-invalid="true"]')?.focus()
    }
    // The daemon refuses what is not trusted; what a person has changed and saves is theirs.
    const untrusted = draft.base?.trust?.state === 'untrusted'
    for (const control of [test, connect]) setAttribute(control, 'disabled', Boolean(doing) || untrusted)
    setAttribute(save, 'disabled', Boolean(doing) || (untrusted && !draft.dirty))
    setAttribute(discard, 'disabled', Boolean(doing))
    setHidden(discard, !draft.dirty)
    setHidden(outdated, !draft.outdated)
    setText(busyText, DOING[doing] ?? '')
    const sentences = [...draft.warnings, ...(draft.base?.warnings ?? [])]
    setHidden(warnings, sentences.length === 0)
    warnings.replaceChildren(...sentences.map(sentence => h('li', { class: 'rllm-note rllm-note--warning' }, sentence)))
  }

  return {
    element,
    update,
    /** Where a person begins. */
    focus: () => paste.control.focus()
  }
}

const NONE = []
const DOING = { test: 'Testing …', save: 'Saving …', connect: 'Connecting …', disconnect: 'Disconnecting …', delete: 'Deleting …', trust: 'Trusting …' }

function savedIn(draft, field) {
  const flag = draft.base?.ssh?.[field.flag] ?? draft.base?.llm?.[field.flag]
  return Array.isArray(flag) ? flag.length > 0 : Boolean(flag)
}

function group(title, views) {
  return h('fieldset', { class: 'options-fieldset rllm-fieldset' }, h('legend', {}, title), h('div', { class: 'rllm-grid' }, views.map(view => view.element)))
}

function suggest(list, pairs) {
  list.replaceChildren(...pairs.map(([value, label]) => h('option', { value, label })))
}
