export { type BlackHole, blackHole } from './black-hole.js'
