// Preloaded before a test file. Replaces Node's global agents with this package's, with the options that Node gives its own.
import http from 'node:http'
import https from 'node:https'
import { HttpAgent, HttpsAgent } from '../../dist/http/index.js'

const options = { keepAlive: true, scheduling: 'lifo', timeout: 5000 }
http.globalAgent = new HttpAgent(options)
https.globalAgent = new HttpsAgent(options)
