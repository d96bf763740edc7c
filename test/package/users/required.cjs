const deadpeer = require('deadpeer')
const testing = require('deadpeer/testing')
const { use } = require('./use.mjs')

use(deadpeer, testing).then((outcome) => console.log(JSON.stringify(outcome)))
