;;; pieces-ask.el --- Asking Pieces  -*- lexical-binding: t -*-

;; SPDX-License-Identifier: MIT OR Apache-2.0

;;; Commentary:

;; A buffer to type a question in: \\`C-c C-c' sends it, \\`C-c C-k' stops the
;; answer.  What was typed stays until it is sent.

;;; Code:

(require 'pieces-client)

(defconst pieces--no-model
  (concat "No model answers yet.  In a terminal, `pieces-lsp model use URL' chooses one "
          "(Ollama, llama.cpp, LM Studio or any other OpenAI-compatible server)")
  "What to do where no model answers.")

;; In pieces.el, which needs this file.
(autoload 'pieces--line "pieces")
(autoload 'pieces--show "pieces")
(autoload 'pieces--refresh "pieces")
(autoload 'pieces--refresh-soon "pieces")

;;;; The request

(defun pieces--shown (target id)
  "Show the conversation ID, in which the question of TARGET is answered."
  (unless (plist-get target :shown)
    (plist-put target :shown t)
    (plist-put target :conversation id)
    (pieces--show id)
    (when-let* ((buffer (pieces--buffer id)))
      ;; Whoever asks reads the end.
      (dolist (window (get-buffer-window-list buffer nil t))
        (set-window-point window (with-current-buffer buffer (point-max)))))))

(defun pieces--over (target id)
  "The question of TARGET, asked in the conversation ID, is not under way any more."
  (setq pieces--asking (remq target pieces--asking))
  (funcall (plist-get target :close))
  (when id
    (remhash id pieces--answers)
    (pieces--refresh (pieces--buffer id)))
  (force-mode-line-update t))

(defun pieces--send (target prompt)
  "Ask PROMPT about TARGET.
If the server does not keep the question, it is a draft again."
  (let ((server (pieces--server)) (target (copy-sequence target)))
    (plist-put target :shown nil)
    (plist-put target :close (pieces--open-document target))
    (setq pieces--asking (append pieces--asking (list target)))
    (when-let* ((id (plist-get target :conversation))) (pieces--shown target id))
    (jsonrpc-async-request
     server :workspace/executeCommand
     (pieces--call "pieces.conversations.ask" `(:prompt ,prompt ,@(pieces--about target)))
     ;; A model may take its time.
     :timeout nil
     :success-fn
     (lambda (result)
       (let ((id (plist-get result :conversation)) (stop (plist-get result :stop)))
         (pieces--shown target id)
         (pieces--over target id)
         (message "Pieces: %s" (pcase stop
                                 ("end" (or (plist-get result :note) "answered"))
                                 ("cancelled" "stopped")
                                 ("length" "the model has reached its limit; the answer was cut")
                                 (_ (or (plist-get result :note) "the answer is not complete"))))))
     :error-fn
     (lambda (problem)
       (let* ((data (plist-get problem :data)) (id (plist-get data :conversation)))
         (if (plist-get data :question)
             (pieces--shown target id)
           (with-current-buffer (pieces--prompt target)
             (save-excursion (goto-char (point-min)) (insert prompt))))
         (pieces--over target (or id (plist-get target :conversation)))
         (message "Pieces: %s%s%s" (plist-get problem :message)
                  (if-let* ((detail (plist-get data :detail))) (format " (%s)" (pieces--line detail)) "")
                  (if (plist-get data :question) "  M-x pieces-again asks again" "")))))))

(defun pieces--told (answer)
  "Handle ANSWER, a `pieces/didAnswer'."
  (let ((id (plist-get answer :conversation)) (status (plist-get answer :status)))
    (if (member status '("waiting" "thinking" "writing"))
        (puthash id status pieces--answers)
      (remhash id pieces--answers))
    ;; This window has asked.
    (when (eq (plist-get answer :here) t)
      (when-let* ((target (or (seq-find (lambda (one) (equal id (plist-get one :conversation)))
                                        pieces--asking)
                              (seq-find (lambda (one) (not (plist-get one :conversation)))
                                        pieces--asking))))
        (run-with-timer 0 nil #'pieces--shown target id)))
    (pieces--refresh-soon (pieces--buffer id))
    (force-mode-line-update t)))

;;;; The buffer to type in

(defvar-local pieces--prompt-target nil "What the question in this buffer is about.")
(defvar-local pieces--prompt-note "" "What to know before typing.")

(defvar-keymap pieces-prompt-mode-map
  "C-c C-c" #'pieces-send
  "C-c C-k" #'pieces-stop)

(define-derived-mode pieces-prompt-mode text-mode "Pieces-Ask"
  "A question to Pieces that is being typed."
  (setq-local header-line-format '(:eval (pieces--header))))

(defun pieces--header ()
  "What a question in this buffer is about, and who answers it."
  (format " C-c C-c sends, C-c C-k stops or closes%s · ask: %s" pieces--prompt-note
          (plist-get pieces--prompt-target :label)))

(defun pieces--prompt (target)
  "The buffer to type a question about TARGET in."
  (let* ((key (lambda (one) (or (plist-get one :conversation) (plist-get one :uri) t)))
         (same (lambda (buffer)
                 (when-let* ((other (buffer-local-value 'pieces--prompt-target buffer)))
                   (equal (funcall key target) (funcall key other)))))
         (buffer (or (seq-find same (buffer-list))
                     (generate-new-buffer
                      (format "*Pieces ask: %s*" (string-replace "Pieces: " "" (plist-get target :label)))))))
    (with-current-buffer buffer
      (unless (derived-mode-p 'pieces-prompt-mode) (pieces-prompt-mode))
      (setq pieces--prompt-target target))
    buffer))

(defun pieces--announce (buffer)
  "Say in BUFFER which model answers, or how to get one."
  (let ((note (lambda (text)
                (when (buffer-live-p buffer)
                  (with-current-buffer buffer
                    (setq pieces--prompt-note text)
                    (force-mode-line-update))))))
    (jsonrpc-async-request
     (pieces--server) :workspace/executeCommand (pieces--call "pieces.models" nil)
     :success-fn (lambda (models)
                   (funcall note
                            (if (equal (plist-get models :source) "none")
                                (progn (message "%s" pieces--no-model) " · no model answers yet")
                              (if-let* ((name (or (plist-get pieces-settings :model)
                                                  (plist-get models :default))))
                                  (format " · %s" name)
                                ""))))
     :error-fn #'ignore)))

;;;###autoload
(defun pieces-ask ()
  "Type a question: in this conversation, about the region, or about this file."
  (interactive)
  (let ((buffer (pieces--prompt (pieces--target))))
    (pop-to-buffer buffer '(display-buffer-below-selected (window-height . 8)))
    (pieces--announce buffer)))

(defun pieces-send ()
  "Send the question in this buffer."
  (interactive)
  (let ((prompt (string-trim (buffer-string))) (target pieces--prompt-target))
    (when (string-empty-p prompt) (user-error "Type a question first"))
    (when (gethash (plist-get target :conversation) pieces--answers)
      (user-error "An answer is being written; C-c C-k stops it"))
    (erase-buffer)
    (unless (plist-get target :conversation) (quit-window t))
    (pieces--send target prompt)))

;;;###autoload
(defun pieces-again ()
  "Ask the last question of this conversation again, which was not answered."
  (interactive)
  (let* ((id (or (pieces--id) (user-error "This buffer shows no conversation")))
         (items (plist-get (pieces-command "pieces.conversations.messages" `(:conversation ,id))
                           :items))
         (question (seq-find (lambda (one) (equal "unanswered" (plist-get one :state)))
                             (reverse items))))
    (unless question (user-error "All questions of this conversation are answered"))
    (pieces--send (append (pieces--target) (list :question (plist-get question :id)))
                  (plist-get question :text))))

(defun pieces-stop ()
  "Stop the answer of this conversation.
Without one, a question that is being typed is put away and kept."
  (interactive)
  (let ((id (or (pieces--id) (plist-get pieces--prompt-target :conversation)
                (plist-get (car (last pieces--asking)) :conversation))))
    (cond
     ((and id (eq t (plist-get (pieces-command "pieces.conversations.stop" `(:conversation ,id))
                               :stopped))))
     (pieces--prompt-target (quit-window))
     (t (message "Nothing is being answered here")))))

(defun pieces--unsent-p ()
  "Whether Emacs may end; asks if there are questions that were not sent."
  (or (not (seq-find (lambda (buffer)
                       (and (buffer-local-value 'pieces--prompt-target buffer)
                            (> (buffer-size buffer) 0)))
                     (buffer-list)))
      (yes-or-no-p "There is a question to Pieces that was not sent; exit anyway? ")))

(add-hook 'kill-emacs-query-functions #'pieces--unsent-p)

(provide 'pieces-ask)
;;; pieces-ask.el ends here
