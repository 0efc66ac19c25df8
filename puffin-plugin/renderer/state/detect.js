/** Where an LLM server may listen, if the person does not say. */

import { normaliseEndpoint } from './fields.js'
import { DEFAULT_ENDPOINT } from './draft.js'

/** Stages that are about the LLM server; before them it is the machine that cannot be reached. */
const OF_THE_SERVER = ['forward', 'http', 'server', 'models']

/** @returns {string[]} the addresses to try in turn */
export function candidatesOf(draft, presets) {
  const said = normaliseEndpoint(draft.llm.apiEndpoint)
  if (said) return [said]
  return [...new Set([DEFAULT_ENDPOINT, ...presets.map(({ llm }) => llm.apiEndpoint).filter(endpoint => endpoint?.startsWith('http://'))])]
}

/**
 * @param {object} result of `test-connection`
 * @param {boolean} asked whether a person was asked: nobody is asked again for a guess
 * @returns {boolean} whether another address may do better
 */
export function mayTryNext(result, asked) {
  const failed = result.stages.find(({ status }) => status === 'failed')
  return !result.success && !asked && OF_THE_SERVER.includes(failed?.name)
}
