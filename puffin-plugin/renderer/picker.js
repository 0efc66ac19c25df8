/**
 * Remote models in Puffin's own model picker. Puffin writes that list anew and resets its choice when
 * it likes: both are put right again, and the choice of a remote model is remembered.
 */

const GROUP = 'Remote LLM'
const PREFIX = 'remote-llm:'
const REMEMBERED = 'rllm-picked-model'

/** @returns {{configId: string, modelId: string}|null} model ids may hold `:` and `/` */
export function parsePicked(value) {
  const parts = /^remote-llm:([^:]+):(.+)$/s.exec(value ?? '')
  return parts ? { configId: parts[1], modelId: parts[2] } : null
}

/** @returns {Array<{value: string, label: string}>} what the picker offers: the listed models of each trusted server, else its default one */
export function optionsOf(state) {
  return state.remoteConfigs.filter(config => config.trust?.state !== 'untrusted').flatMap(config => {
    const listed = (state.modelLists[config.configId]?.models ?? []).filter(model => model.capabilities?.embedding !== true)
    const ids = listed.map(({ id }) => id)
    for (const { id } of config.llm.models ?? []) if (!ids.includes(id)) ids.push(id)
    const chosen = config.selectedModel ?? config.llm.defaultModel
    if (chosen && !ids.includes(chosen)) ids.unshift(chosen)
    return ids.map(id => ({ value: `${PREFIX}${config.configId}:${id}`, label: `${id} (${config.name})` }))
  })
}

/**
 * @param {object} options
 * @param {Document} options.document
 * @param {Storage} options.storage where the choice is remembered
 * @param {(value: string) => void} options.onPicked main is told what the picker holds, whenever that changes
 */
export function createPicker({ document, storage, onPicked }) {
  let select = null
  let options = []
  let reported = null
  /** What the person chose, whatever Puffin has set since. */
  let picked = read()
  /** Puffin's own model that was set last. */
  let fallback = ''
  const observer = new MutationObserver(repair)

  function read() {
    try {
      return storage.getItem(REMEMBERED) ?? ''
    } catch {
      return ''
    }
  }

  function remember(value) {
    picked = value
    try {
      if (parsePicked(value)) storage.setItem(REMEMBERED, value)
      else storage.removeItem(REMEMBERED)
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }

  function onChange() {
    remember(select.value)
    report()
  }

  function report() {
    const value = select?.value ?? ''
    if (value === reported) return
    if (!parsePicked(value)) fallback = value
    reported = value
    onPicked(value)
  }

  /** Our group is there, once, at the end; and the choice is as the person left it. */
  function repair() {
    if (!select) return
    let group = select.querySelector(`optgroup[label="${GROUP}"]`)
    const same = group && group.childElementCount === options.length && options.every(({ value, label }, index) => group.children[index].value === value && group.children[index].textContent === label)
    if (!same) {
      group?.remove()
      if (options.length > 0) {
        group = document.createElement('optgroup')
        group.label = GROUP
        for (const { value, label } of options) {
          const option = document.createElement('option')
          option.value = value
          option.textContent = label
          group.append(option)
        }
        select.append(group)
      }
    }
    if (parsePicked(picked) && options.some(({ value }) => value === picked)) {
      // Else Puffin sets its configured model at the next change of its state.
      if (select.dataset.userChanged !== 'true') select.dataset.userChanged = 'true'
      report()
      if (select.value !== picked) select.value = picked
    }
    // What was repaired just now needs no repair.
    observer.takeRecords()
    report()
  }

  return {
    start() {
      select = document.getElementById('thread-model')
      if (!select) return false
      select.addEventListener('change', onChange)
      document.addEventListener('puffin-state-change', report)
      observer.observe(select, { childList: true, subtree: true, attributes: true, attributeFilter: ['data-user-changed'] })
      repair()
      return true
    },
    update(state) {
      options = optionsOf(state)
      repair()
    },
    /** Leaves the picker as Puffin made it. */
    stop() {
      if (!select) return
      observer.disconnect()
      select.removeEventListener('change', onChange)
      document.removeEventListener('puffin-state-change', report)
      const remote = parsePicked(select.value)
      select.querySelector(`optgroup[label="${GROUP}"]`)?.remove()
      if (remote) {
        delete select.dataset.userChanged
        if (fallback) select.value = fallback
      }
      options = []
      select = null
      reported = null
    }
  }
}
