package io.calm.spring.http;

/**
 * What somebody has said in a chat.
 *
 * @param role who: system, developer, user or assistant
 * @param text what
 */
record ChatMessage(String role, String text) {
}
