export { type CounterRates, diffCounters } from './kernel/counter-rates.js'
export {
  type CounterGroup,
  type CounterGroups,
  type Counters,
  type CountersOptions,
  readCounters,
} from './kernel/counters.js'
export { equalsDefault, type OptionDefaults, readDefaults, type SystemDefaults } from './kernel/defaults.js'
export { type LivenessCounters, livenessCounters } from './kernel/liveness-counters.js'
