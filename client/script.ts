/** The entry of the single file for a `<script>` tag: sets the global `everwire`. */
import { WebSocket } from './browser.ts'

;(globalThis as { everwire?: object }).everwire = { WebSocket }
