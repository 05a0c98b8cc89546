"""What comes in through the files panel."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from mailops.content.enclosing import MAX_FILES


class _ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    """One file or several at once."""

    def clean(self, data: Any, initial: Any = None) -> list["UploadedFile[Any]"]:  # noqa: ARG002 - Django's signature
        given = data if isinstance(data, list | tuple) else [data]
        if not any(given):
            raise forms.ValidationError("Choose a file.")
        if len(given) > MAX_FILES:
            raise forms.ValidationError(f"Choose {MAX_FILES} files at most.")
        return [file for file in given if file]


class FilesForm(forms.Form):
    file = _FilesField(label="Add files", widget=_ManyFiles())
    replaces = forms.BooleanField(label="Replace files of the same name", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        endings = settings.MAILOPS_FILE_TYPES
        # the fields belong to the draft's form, so that what is typed there goes along with a file
        self.fields["file"].widget.attrs |= {
            "form": "draft",
            "accept": ",".join(f".{ending}" for ending in endings),
        }
        self.fields["replaces"].widget.attrs |= {"form": "draft"}
        most = f"Up to {settings.MAILOPS_FILE_MB} MB each."
        self.fields[
            "file"
        ].help_text = f"Drop them here or choose them: {', '.join(endings)}. {most}"


class FileActForm(forms.Form):
    REMOVE, UNDO, SHOW, ATTACH = "remove", "undo", "show", "attach"

    act = forms.ChoiceField(choices=[(act, act) for act in (REMOVE, UNDO, SHOW, ATTACH)])
